"""The heat lies where the cell lies in the original photo, for every shape of photo, grid and resize mode."""

import numpy as np
import pytest

from regard.views.heat_map import FULL_HEAT, RING, heat_map, mark, overlay, shrink

SHAPES = [(300, 200, 7, 7), (200, 300, 7, 5), (640, 120, 4, 9), (97, 101, 14, 14), (50, 400, 3, 2)]


@pytest.mark.parametrize("mode", ["squash", "crop", "letterbox"])
@pytest.mark.parametrize(("width", "height", "rows", "columns"), SHAPES)
def test_the_peak_lies_in_the_cell_that_was_looked_at(grid, width, height, rows, columns, mode) -> None:
    regions = grid(width, height, rows, columns, mode)
    for cell, (left, top, right, bottom) in enumerate(regions.rectangles):
        x, y = (left + right) / 2, (top + bottom) / 2
        if not (0 <= x < width and 0 <= y < height):
            continue
        weights = np.zeros(rows * columns)
        weights[cell] = 1
        heat = heat_map(weights.reshape(rows, columns), regions, (width, height))
        peak_y, peak_x = divmod(int(heat.argmax()), width)
        assert left - 1 <= peak_x <= right
        assert top - 1 <= peak_y <= bottom


def test_a_photo_shown_smaller_has_its_peak_at_the_same_place(grid) -> None:
    regions = grid(3000, 1000, 7, 7, "crop")
    weights = np.zeros((7, 7))
    weights[2, 4] = 1
    heat = heat_map(weights, regions, (300, 100))
    y, x = divmod(int(heat.argmax()), 300)
    left, top, right, bottom = regions.rectangles[2 * 7 + 4]
    assert left / 10 - 1 <= x <= right / 10
    assert top / 10 - 1 <= y <= bottom / 10


def test_a_crop_leaves_the_border_without_heat(grid) -> None:
    heat = heat_map(np.full((7, 7), 1 / 49), grid(300, 200, mode="crop"), (300, 200))
    assert np.all(heat[:, :50] == 0)
    assert np.all(heat[:, 250:] == 0)
    assert np.allclose(heat[:, 50:250], 1 / FULL_HEAT)


def test_cells_beside_the_photo_are_cut_off(grid) -> None:
    regions = grid(300, 100, 6, 6, "letterbox")
    above = np.zeros((6, 6))
    above[0] = 1 / 6
    assert heat_map(above, regions, (300, 100)).max() < 0.05
    assert heat_map(above, regions, (300, 100)).shape == (100, 300)


def test_equal_weights_are_equally_warm_everywhere_and_pale(grid) -> None:
    heat = heat_map(np.full((5, 3), 1 / 15), grid(120, 90, 5, 3), (120, 90))
    assert np.allclose(heat, 1 / FULL_HEAT)


def test_heat_is_smooth_and_between_0_and_1(grid, look) -> None:
    regions = grid(210, 140)
    heat = heat_map(look(regions, 3, 5), regions, (210, 140))
    assert heat.min() >= 0
    assert heat.max() <= 1
    assert np.abs(np.diff(heat, axis=0)).max() < 0.1
    assert np.abs(np.diff(heat, axis=1)).max() < 0.1


def test_the_heat_equals_the_formula_written_out(grid, look) -> None:
    regions = grid(23, 17, 3, 4)
    weights = look(regions, 1, 2).astype(np.float64)
    heat = heat_map(weights, regions, (23, 17))
    for x, y in [(0, 0), (11, 8), (22, 16), (17, 3)]:
        above = below = 0.0
        for weight, (left, top, right, bottom) in zip(weights.flat, regions.rectangles, strict=True):
            across = (x + 0.5 - (left + right) / 2) / (0.5 * (right - left))
            down = (y + 0.5 - (top + bottom) / 2) / (0.5 * (bottom - top))
            near = np.exp(-0.5 * (across**2 + down**2))
            above, below = above + weight * near, below + near
        assert heat[y, x] == pytest.approx(above / below / max(weights.max(), FULL_HEAT / 12), rel=1e-9)


def test_the_photo_is_dimmed_where_the_word_did_not_look(grid, look) -> None:
    regions = grid(210, 140)
    photo = np.full((140, 210, 3), 200, dtype=np.uint8)
    shown = overlay(photo, look(regions, 1, 1), regions)
    assert shown.shape == photo.shape
    assert shown.dtype == np.uint8
    assert shown[-1, -1].max() < 90
    assert shown[30, 45].max() > 190


def test_a_ring_lies_around_the_point_and_nowhere_else() -> None:
    photo = np.full((120, 200, 3), 90, dtype=np.uint8)
    changed = np.argwhere((mark(photo, (0.25, 0.5)) != photo).any(axis=2))
    radii = np.hypot(changed[:, 0] - 60, changed[:, 1] - 50)
    assert np.allclose(radii, RING * 200, atol=4)
    assert len(changed) > 20
    assert (photo == 90).all()


def test_shrink_keeps_the_proportions_and_never_enlarges() -> None:
    photo = np.zeros((600, 900, 3), dtype=np.uint8)
    assert shrink(photo, 300).shape == (200, 300, 3)
    assert shrink(photo, 1000) is photo
    assert shrink(np.zeros((3000, 2, 3), dtype=np.uint8), 300).shape == (300, 1, 3)
