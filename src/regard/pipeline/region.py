"""Attention held to a part of the photo: every position outside of it is masked before the softmax.

A softmax over the positions inside equals one over all positions with scores of −∞ outside. So the annotations inside
are gathered, real positions first, and the weights that come back are spread over the whole grid again, exactly 0
outside. The decoder's first state is made from the mean of the annotations inside, so the caption begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from regard.annotations import Annotations, Regions
from regard.errors import ConfigError

Box = tuple[float, float, float, float]
"""left, top, right, bottom as fractions of the photo's width and height."""
Positions = tuple[int, ...]
"""Indices of annotations, ascending."""


def check_box(box: Box) -> Box:
    """The box, if it is part of a photo.

    Raises:
        ConfigError: it is empty, or does not lie within 0…1.
    """
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ConfigError(
            f"the region {', '.join(f'{edge:g}' for edge in box)}",
            allowed="left, top, right, bottom as fractions of the photo, left < right and top < bottom, within 0 and 1",
        )
    return box


def positions_in(box: Box, regions: Regions) -> Positions:
    """The cells whose centre lies in the box; the nearest cell where none does.

    Args:
        box: the part of the photo.
        regions: where the cells lie in the photo.
    """
    left, top, right, bottom = box
    cells = np.array(regions.rectangles, dtype=np.float64)
    x = (cells[:, 0] + cells[:, 2]) / 2 / regions.width
    y = (cells[:, 1] + cells[:, 3]) / 2 / regions.height
    inside = np.flatnonzero((x >= left) & (x <= right) & (y >= top) & (y <= bottom))
    if not len(inside):
        distance = (x - (left + right) / 2) ** 2 + (y - (top + bottom) / 2) ** 2
        inside = np.array([distance.argmin()])
    return tuple(inside.tolist())


def gather_positions(annotations: Annotations, inside: Sequence[Positions]) -> Annotations:
    """The annotations at some positions of each input, padded to the largest number of them.

    Args:
        annotations: of a batch, without padding.
        inside: of each input, at least one position.
    """
    size = max(map(len, inside))
    padded = [[*positions, *[positions[0]] * (size - len(positions))] for positions in inside]
    index = torch.tensor(padded, device=annotations.values.device)
    lengths = torch.tensor([len(positions) for positions in inside], device=index.device)
    mask = torch.arange(size, device=index.device) < lengths.unsqueeze(1)
    batch = torch.arange(len(index), device=index.device).unsqueeze(1)
    return Annotations(annotations.values[batch, index], mask=None if _all(mask) else mask)


def scatter_weights(weights: npt.NDArray[np.float32], inside: Positions, *, positions: int) -> npt.NDArray[np.float32]:
    """Weights [word, len(inside)] at their positions in [word, positions], 0 elsewhere."""
    spread = np.zeros((len(weights), positions), dtype=np.float32)
    spread[:, list(inside)] = weights
    return spread


def _all(mask: Tensor) -> bool:
    return bool(mask.all())
