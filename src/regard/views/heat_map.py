"""A heat map on the original photo: every weight lies at its cell's rectangle, bright where the word looked.

The grid is blown up by a normalised Gaussian in units of the cell,

    heat(x, y) = Σ_i w_i g_i(x, y) / Σ_i g_i(x, y),   g_i = exp(−|(x, y) − centre_i|² / 2σ²),  σ = half a cell,

which is smooth, keeps equal weights equal up to the edge of the grid, and separates into rows and columns. A photo that
the grid covers in part (centre crop) stays dark in the rest; a grid that reaches past the photo (letterbox) is cut off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from regard.composed_attention import Floats
from regard.results import Photo
from regard.views.colour import ramp

if TYPE_CHECKING:
    from regard.annotations import Regions

Edges = NDArray[np.float64]
"""[cells, 2]: where each row (or column) of the grid begins and ends, as fractions of the photo's height (width)."""

SIGMA = 0.5
"""Width of the Gaussian, in cells."""

FULL_HEAT = 4.0
"""A peak below this many times the uniform weight is drawn paler, so that a diffuse look does not seem a sharp one."""

RING = 0.04
"""Radius of the ring at a point, as a share of the photo's longer side."""

VEIL = (0.74, 0.40)
"""Opacity of the colours over the photo where the word did not look and where it looked most."""


def edges(regions: Regions) -> tuple[Edges, Edges]:
    """Rows and columns of the grid as fractions of the photo, [rows, 2] and [columns, 2]; may leave 0…1."""
    boxes = np.array(regions.rectangles, dtype=np.float64).reshape(regions.rows, regions.columns, 4)
    assert np.allclose(boxes[:, :1, 1::2], boxes[:, :, 1::2]), "the cells of a row share top and bottom"
    assert np.allclose(boxes[:1, :, ::2], boxes[:, :, ::2]), "the cells of a column share left and right"
    return boxes[:, 0, 1::2] / regions.height, boxes[0, :, ::2] / regions.width


def heat_map(weights: Floats, regions: Regions, size: tuple[int, int]) -> NDArray[np.float64]:
    """How much a word looked at each pixel, relative to where it looked most.

    Args:
        weights: [rows, columns], summing to 1.
        regions: where the cells lie in the original photo.
        size: width and height of the map in pixels; the original photo at any scale.

    Returns:
        float [height, width] in 0…1; 0 where the grid does not reach.
    """
    width, height = size
    rows, columns = edges(regions)
    relative = np.asarray(weights, dtype=np.float64) / strength(weights)
    heat: NDArray[np.float64] = _spread(rows, height) @ relative @ _spread(columns, width).T
    return heat


def strength(weights: Floats) -> float:
    """The weight that is drawn brightest: the peak, or :data:`FULL_HEAT` times uniform if no peak reaches that."""
    return max(float(np.max(weights)), FULL_HEAT / weights.size)


def overlay(photo: Photo, weights: Floats, regions: Regions) -> Photo:
    """The photo under its heat map: dimmed where the word did not look.

    Args:
        photo: uint8 [height, width, 3], the original at any scale.
        weights: [rows, columns], summing to 1.
        regions: where the cells lie in the original photo.
    """
    height, width = photo.shape[:2]
    heat = heat_map(weights, regions, (width, height))
    colours = ramp("ember")[np.rint(heat * 255).astype(np.intp)]
    opacity = (VEIL[0] + (VEIL[1] - VEIL[0]) * heat)[..., None]
    return np.rint(photo * (1 - opacity) + colours * opacity).astype(np.uint8)


def mark(photo: Photo, point: tuple[float, float]) -> Photo:
    """The photo with a ring where a word points, white with a dark edge, which shows on every photo.

    Args:
        photo: uint8 [height, width, 3].
        point: x and y as fractions of its width and height.
    """
    image = Image.fromarray(photo)
    draw, longest = ImageDraw.Draw(image), max(image.size)
    x, y, radius = point[0] * image.width, point[1] * image.height, RING * longest
    for width, colour in ((5, "black"), (2, "white")):
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, outline=colour, width=max(1, round(width * longest / 300)))
    return np.asarray(image)


def shrink(photo: Photo, longest: int) -> Photo:
    """The photo with its longer side at most ``longest`` pixels; never enlarged."""
    height, width = photo.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return photo
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))


def _spread(cells: Edges, pixels: int) -> NDArray[np.float64]:
    """The share of each cell in each pixel along one axis, [pixels, cells]; rows sum to 1, or to 0 off the grid."""
    at = (np.arange(pixels) + 0.5) / pixels
    centres, sizes = cells.mean(axis=1), np.abs(cells[:, 1] - cells[:, 0])
    near = np.exp(-0.5 * ((at[:, None] - centres) / (SIGMA * sizes)) ** 2)
    covered = (at >= cells.min()) & (at <= cells.max())
    return np.where(covered[:, None], near / np.maximum(near.sum(axis=1, keepdims=True), 1e-300), 0.0)
