import numpy as np
import pytest

from regard.views.region_names import describe_point, describe_region, ninths, percent


@pytest.mark.parametrize(
    ("row", "column", "name"),
    [(0, 0, "top left"), (0, 3, "top"), (0, 6, "top right"), (3, 0, "left"), (3, 3, "middle"), (6, 6, "bottom right")],
)
def test_a_place_is_named_by_its_ninth(grid, row, column, name) -> None:
    weights = np.zeros((7, 7))
    weights[row, column] = 1
    assert describe_region(weights, grid(300, 200)) == f"{name}, 100\u00a0%"


@pytest.mark.parametrize(
    ("point", "name"),
    [((0.0, 0.0), "top left"), ((0.5, 0.5), "middle"), ((1.0, 0.4), "right"), ((0.2, 1.0), "bottom left")],
)
def test_a_point_is_named_by_its_ninth(point, name) -> None:
    assert describe_point(point) == name


def test_a_spread_look_names_no_place(grid) -> None:
    assert describe_region(np.full((7, 7), 1 / 49), grid(300, 200)) == "the whole photo"


def test_ninths_share_cells_by_area_and_sum_to_one(grid, look) -> None:
    regions = grid(301, 200, 5, 4)
    shares = ninths(np.full((5, 4), 1 / 20), regions)
    assert np.allclose(shares, 1 / 9)
    assert ninths(look(regions, 1, 1), regions).sum() == pytest.approx(1, abs=1e-6)


def test_weight_beside_the_photo_is_in_no_ninth(grid) -> None:
    weights = np.zeros((6, 6))
    weights[0, 3] = 0.75
    weights[3, 3] = 0.25
    assert ninths(weights, grid(300, 100, 6, 6, "letterbox")).sum() == pytest.approx(0.25)


@pytest.mark.parametrize(("share", "text"), [(0, "0 %"), (0.001, "< 1 %"), (0.344, "34 %"), (1, "100 %")])
def test_percent(share, text) -> None:
    assert percent(share).replace("\u00a0", " ") == text
