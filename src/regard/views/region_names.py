"""Where a word looked, in words, for readers who do not see the heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regard.composed_attention import Floats
from regard.views.heat_map import Edges, edges

if TYPE_CHECKING:
    from regard.annotations import Regions

_NAMES = (("top left", "top", "top right"), ("left", "middle", "right"), ("bottom left", "bottom", "bottom right"))
_CONCENTRATED = 0.2
"""A uniform look gives each ninth 0.11; below this share no ninth is worth naming."""


def ninths(weights: Floats, regions: Regions) -> NDArray[np.float64]:
    """The weight that falls on each ninth of the photo, [3, 3]; what falls beside the photo is in none of them."""
    rows, columns = edges(regions)
    shares: NDArray[np.float64] = _overlap(rows).T @ np.asarray(weights, dtype=np.float64) @ _overlap(columns)
    return shares


def describe_region(weights: Floats, regions: Regions) -> str:
    """Such as ``top left, 34 %``, or ``the whole photo`` where the look is spread out."""
    shares = ninths(weights, regions)
    row, column = divmod(int(shares.argmax()), 3)
    if shares[row, column] < _CONCENTRATED:
        return "the whole photo"
    return f"{_NAMES[row][column]}, {percent(float(shares[row, column]))}"


def describe_point(point: tuple[float, float]) -> str:
    """The ninth of the photo that a point lies in, given as fractions of its width and height: such as ``top left``."""
    column, row = (min(int(3 * each), 2) for each in point)
    return _NAMES[row][column]


def percent(share: float) -> str:
    """A share of 1 as people write it, with a space that does not break: ``34 %``, ``< 1 %``."""
    return "<\u00a01\u00a0%" if 0 < share < 0.005 else f"{share * 100:.0f}\u00a0%"


def _overlap(cells: Edges) -> NDArray[np.float64]:
    """Which share of each cell lies in each third of the axis, [cells, 3]."""
    thirds = np.array([[0, 1 / 3], [1 / 3, 2 / 3], [2 / 3, 1]])
    low = np.maximum(cells[:, None, 0], thirds[None, :, 0])
    high = np.minimum(cells[:, None, 1], thirds[None, :, 1])
    shares: NDArray[np.float64] = np.clip(high - low, 0, None) / (cells[:, 1] - cells[:, 0])[:, None]
    return shares
