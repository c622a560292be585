"""Whether a word's look was to the point: take away what it looked at, and see if it becomes less likely.

Attention weights are only an explanation if the regions they name matter. The deletion test removes the regions with
the largest weights and compares the fall of the word's probability with the fall when as many random regions are
removed. After Samek et al. 2017 (pixel flipping) and Petsiuk et al. 2018 (deletion), on regions instead of pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regard.composed_attention import Floats
from regard.errors import ConfigError

Removed = NDArray[np.bool_]
"""[rows, columns], True where a region is taken away."""


@dataclass(frozen=True)
class Deletion:
    """What removing regions did to one word.

    Attributes:
        probability: of the word with all regions there.
        without_looked: of the word without the regions it looked at most.
        without_random: of the word without as many random regions, the mean over the trials.
        removed: how many regions were taken away.
    """

    probability: float
    without_looked: float
    without_random: float
    removed: int

    @property
    def margin(self) -> float:
        """How much more the word lost with the regions it looked at; above 0 where the look was to the point."""
        return self.without_random - self.without_looked


def deletion(
    probability: Callable[[Removed], float], weights: Floats, *, share: float = 0.2, trials: int = 8, seed: int = 0
) -> Deletion:
    """Test one word.

    Args:
        probability: how likely the word is when the regions that are True are taken away.
        weights: [rows, columns], where the word looked.
        share: how much of the grid is removed, at least one region and never all.
        trials: how many random choices the looked-at regions are compared with.
        seed: the random choices depend on nothing else.

    Raises:
        ConfigError: a share outside 0…1, fewer than one trial, or a grid of a single region.
    """
    if not 0 < share < 1:
        raise ConfigError(f"share is {share}", allowed="a number between 0 and 1")
    if trials < 1:
        raise ConfigError(f"trials is {trials}", allowed="1 or more")
    if weights.size < 2:
        raise ConfigError("the grid has a single region, so nothing can be removed", allowed="2 regions or more")
    count = min(max(1, round(share * weights.size)), weights.size - 1)
    looked = np.argsort(-weights, axis=None, kind="stable")[:count]
    generator = np.random.default_rng(seed)
    chosen = [generator.choice(weights.size, size=count, replace=False) for _ in range(trials)]
    return Deletion(
        probability=probability(_removed([], weights.shape)),
        without_looked=probability(_removed(looked, weights.shape)),
        without_random=float(np.mean([probability(_removed(each, weights.shape)) for each in chosen])),
        removed=count,
    )


def _removed(indices: NDArray[np.intp] | list[int], shape: tuple[int, ...]) -> Removed:
    mask = np.zeros(shape, dtype=np.bool_)
    mask.reshape(-1)[np.asarray(indices, dtype=np.intp)] = True
    return mask
