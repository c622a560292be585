"""Random resized crops of photos that lie in memory, drawn and cut where the photos lie, on the processor or on a GPU.

A crop has a random share of the photo's area and a random aspect ratio (Szegedy et al. 2015, "Going deeper with
convolutions", §6), is mirrored or not, and has its brightness, contrast and saturation changed a little. All of it is a
function of the entropy that is given for each photo, whatever else is in the batch. Photos that lie in memory squashed
to a square get some of the shapes back that they were squashed from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from regard.config import Settings

_LUMA = (0.299, 0.587, 0.114)
"""The shares of red, green and blue in the brightness that people see (ITU-R BT.601)."""


class CropSettings(Settings):
    """How much of a photo a crop keeps, and how much its shape and colours change."""

    area: float = Field(0.6, gt=0, le=1)
    """The least share of the photo's area that a crop keeps; the greatest is all of it."""
    stretch: float = Field(1.25, ge=1, le=4)
    """The most by which a crop is stretched, one way or the other."""
    colour: float = Field(0.0, ge=0, lt=1)
    """The most by which brightness, contrast and saturation change, each by a factor from 1 − c to 1 + c."""


@dataclass(frozen=True)
class Crops:
    """One crop for each photo of a batch.

    Attributes:
        boxes: float32 [batch, 4], left, top, width, height in shares of the photo's width and height; of a mirrored
            crop the width is negative and the left side is the right one.
        colours: float32 [batch, 3], factors of brightness, contrast and saturation.
    """

    boxes: Tensor
    colours: Tensor


def draw_crops(settings: CropSettings, entropy: Sequence[Sequence[int]], *, mirrored: bool) -> Crops:
    """Crops of photos, each a function of its entropy; half of them mirrored where that is allowed."""
    drawn = np.array([_uniform(each) for each in entropy], dtype=np.float64).reshape(-1, 8)
    area = settings.area + (1 - settings.area) * drawn[:, 0]
    ratio = settings.stretch ** (2 * drawn[:, 1] - 1)
    width, height = (np.minimum(1, np.sqrt(area * ratio)), np.minimum(1, np.sqrt(area / ratio)))
    left, top = drawn[:, 2] * (1 - width), drawn[:, 3] * (1 - height)
    flip = (drawn[:, 4] < 0.5) & mirrored
    boxes = np.stack([np.where(flip, left + width, left), top, np.where(flip, -width, width), height], axis=1)
    colours = 1 + settings.colour * (2 * drawn[:, 5:8] - 1)
    return Crops(torch.from_numpy(boxes).float(), torch.from_numpy(colours).float())


def cut_crops(pixels: Tensor, crops: Crops, size: int) -> Tensor:
    """Crops as an encoder takes them.

    Args:
        pixels: uint8 [batch, H, W, 3].
        crops: one for each, on any device.
        size: height and width of what is returned.

    Returns:
        uint8 [batch, size, size, 3], sampled bilinearly, on the device of ``pixels``.
    """
    boxes, colours = crops.boxes.to(pixels.device), crops.colours.to(pixels.device)
    photos = pixels.permute(0, 3, 1, 2).float()
    cut = F.grid_sample(photos, _grid(boxes, size), mode="bilinear", padding_mode="border", align_corners=False)
    if bool((crops.colours != 1).any()):
        cut = _recolour(cut, colours)
    return cut.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _uniform(entropy: Sequence[int]) -> list[float]:
    """Eight uniform numbers in [0, 1)."""
    words = np.random.SeedSequence(list(entropy)).generate_state(8)
    return [float(word) / 2**32 for word in words]


def _grid(boxes: Tensor, size: int) -> Tensor:
    """Where each pixel of a crop lies in its photo, [batch, size, size, 2], from −1 to 1."""
    centres = (torch.arange(size, device=boxes.device) + 0.5) / size
    left, top, width, height = boxes.unsqueeze(-1).unbind(dim=1)
    x, y = left + width * centres, top + height * centres
    points = torch.stack([x.unsqueeze(1).expand(-1, size, -1), y.unsqueeze(2).expand(-1, -1, size)], dim=-1)
    return points * 2 - 1


def _recolour(photos: Tensor, colours: Tensor) -> Tensor:
    """Scale brightness, then the distance from the mean brightness, then that from each pixel's brightness."""
    brightness, contrast, saturation = colours.view(-1, 3, 1, 1, 1).unbind(dim=1)
    luma = photos.new_tensor(_LUMA).view(1, 3, 1, 1)
    photos = photos * brightness
    mean = (photos * luma).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
    photos = torch.lerp(mean, photos, contrast)
    grey = (photos * luma).sum(dim=1, keepdim=True)
    return torch.lerp(grey.expand_as(photos), photos, saturation)
