"""Random crops: a function of the entropy, inside the photo, and the photo itself where nothing is cut."""

from __future__ import annotations

import pytest
import torch

from regard.data.random_crops import Crops, CropSettings, cut_crops, draw_crops


def ramp(height: int, width: int) -> torch.Tensor:
    """A photo whose red is its column, whose green its row, in steps of ten."""
    rows, columns = torch.meshgrid(torch.arange(height) * 10, torch.arange(width) * 10, indexing="ij")
    return torch.stack([columns, rows, torch.zeros_like(rows)], dim=-1).to(torch.uint8).unsqueeze(0)


def crops(*box: float, colours: tuple[float, float, float] = (1, 1, 1)) -> Crops:
    return Crops(torch.tensor([box]), torch.tensor([colours], dtype=torch.float32))


def test_the_whole_photo_in_its_own_size_is_the_photo() -> None:
    photo = ramp(8, 8)
    assert torch.equal(cut_crops(photo, crops(0, 0, 1, 1), 8), photo)


def test_a_mirrored_crop_is_the_mirror_image() -> None:
    photo = ramp(8, 8)
    assert torch.equal(cut_crops(photo, crops(1, 0, -1, 1), 8), photo.flip(2))


def test_a_crop_shows_its_part_of_the_photo() -> None:
    photo = ramp(8, 8)
    assert torch.equal(cut_crops(photo, crops(0.5, 0.25, 0.5, 0.5), 4), photo[:, 2:6, 4:8])


def test_colours_change_about_brightness_mean_and_grey() -> None:
    photo = torch.tensor([[[[100, 50, 0], [20, 20, 20]], [[20, 20, 20], [20, 20, 20]]]], dtype=torch.uint8)
    darker = cut_crops(photo, crops(0, 0, 1, 1, colours=(0.5, 1, 1)), 2)
    assert darker[0, 0, 0].tolist() == [50, 25, 0]
    grey = cut_crops(photo, crops(0, 0, 1, 1, colours=(1, 1, 0)), 2)
    assert grey[0, 0, 0].tolist() == [round(0.299 * 100 + 0.587 * 50)] * 3
    flat = cut_crops(photo, crops(0, 0, 1, 1, colours=(1, 0, 1)), 2)
    assert (flat == flat[0, 0, 0, 0]).all()


@pytest.mark.parametrize("settings", [CropSettings(), CropSettings(area=0.1, stretch=2, colour=0.3)])
def test_crops_lie_inside_and_keep_their_share(settings: CropSettings) -> None:
    drawn = draw_crops(settings, [(0, each) for each in range(200)], mirrored=True)
    left, top, width, height = drawn.boxes.unbind(dim=1)
    right = left + width
    assert torch.minimum(left, right).min() >= -1e-6
    assert torch.maximum(left, right).max() <= 1 + 1e-6
    assert (top >= 0).all()
    assert (top + height <= 1 + 1e-6).all()
    # a crop that would be longer than the photo is cut off, and so has a smaller share
    assert ((width.abs() * height).min() >= settings.area / settings.stretch - 1e-6).all()
    assert 60 < int((width < 0).sum()) < 140
    assert ((drawn.colours - 1).abs() <= settings.colour + 1e-6).all()


def test_a_crop_is_a_function_of_its_own_entropy() -> None:
    settings = CropSettings(colour=0.2)
    together = draw_crops(settings, [(3, 1), (3, 2)], mirrored=True)
    alone = draw_crops(settings, [(3, 2)], mirrored=True)
    assert torch.equal(together.boxes[1:], alone.boxes)
    assert torch.equal(together.colours[1:], alone.colours)
    assert not (draw_crops(settings, [(3, 2)], mirrored=False).boxes[:, 2] < 0).any()
