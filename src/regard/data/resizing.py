"""Resizing of photos to what a network reads, with the geometry of every cell in the original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL.Image import Resampling

from regard.annotations import Rectangle, Regions
from regard.data.images import Photo, Pixels

ResizeMode = Literal["squash", "crop", "letterbox"]

LETTERBOX = (124, 116, 104)
"""The bars of a letterbox: the mean of ImageNet, which a network sees as nothing."""


@dataclass(frozen=True)
class Frame:
    """Which part of a photo a resized picture shows.

    Attributes:
        box: left, top, right, bottom of the resized picture in pixels of the original; a letterbox reaches past the
            photo, a centre crop lies inside it.
        width, height: size of the original in pixels, upright.
    """

    box: Rectangle
    width: int
    height: int

    def regions(self, rows: int, columns: int) -> Regions:
        """Where each cell of a rows × columns grid over the resized picture lies in the original, row by row."""
        left, top, right, bottom = self.box
        x = [left + (right - left) * column / columns for column in range(columns + 1)]
        y = [top + (bottom - top) * row / rows for row in range(rows + 1)]
        cells = tuple((x[c], y[r], x[c + 1], y[r + 1]) for r in range(rows) for c in range(columns))
        return Regions(rows=rows, columns=columns, rectangles=cells, width=self.width, height=self.height)


def resize(photo: Photo, size: int | tuple[int, int], mode: ResizeMode = "squash") -> tuple[Pixels, Frame]:
    """Bring a photo to a fixed size, with an antialiased bicubic filter.

    Args:
        photo: the picture.
        size: the side of a square, or (height, width), in pixels.
        mode: ``squash`` ignores proportions and shows everything; ``crop`` keeps them and cuts off what is too long,
            equally on both sides; ``letterbox`` keeps them and adds bars.

    Returns:
        Pixels [height, width, 3], writable, and where they lie in the original.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if mode == "letterbox":
        return _letterbox(photo, height, width)
    fraction = _crop_fraction(photo, height / width) if mode == "crop" else (1.0, 1.0)
    box = _central(photo.image.width, photo.image.height, fraction)
    resized = photo.image.resize((width, height), Resampling.BICUBIC, box=box)
    return np.array(resized), Frame(_central(photo.width, photo.height, fraction), photo.width, photo.height)


def _crop_fraction(photo: Photo, aspect: float) -> tuple[float, float]:
    """The fractions of width and height that a crop of this height / width keeps."""
    own = photo.height / photo.width
    return (min(1.0, own / aspect), min(1.0, aspect / own))


def _central(width: int, height: int, fraction: tuple[float, float]) -> Rectangle:
    left, top = width * (1 - fraction[0]) / 2, height * (1 - fraction[1]) / 2
    return (left, top, width - left, height - top)


def _letterbox(photo: Photo, height: int, width: int) -> tuple[Pixels, Frame]:
    scale = min(width / photo.width, height / photo.height)
    inner_width, inner_height = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    canvas = np.empty((height, width, 3), dtype=np.uint8)
    canvas[:] = LETTERBOX
    resized = photo.image.resize((inner_width, inner_height), Resampling.BICUBIC)
    canvas[top : top + inner_height, left : left + inner_width] = np.asarray(resized)
    # Rounding to whole pixels gives width and height scales of their own.
    x, y = photo.width / inner_width, photo.height / inner_height
    box = (-left * x, -top * y, (width - left) * x, (height - top) * y)
    return canvas, Frame(box, photo.width, photo.height)
