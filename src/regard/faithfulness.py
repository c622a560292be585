"""Faithfulness of attention weights: how a word's probability changes when the positions it attended to are erased.

With S_f the share f of positions that come first in some order, and log p of the word that was written:

    comprehensiveness_f = log p(y | a) − log p(y | a without S_f)      high where S_f was needed
    sufficiency_f       = log p(y | a) − log p(y | S_f alone)          low where S_f is enough
    deletion area       = ∫ p(y | a without S_f) df                    low where the order finds what matters first
    insertion area      = ∫ p(y | S_f alone) df                        high likewise
    importance_i        = log p(y | a) − log p(y | a without i)        leave one out

(DeYoung et al. 2020, "ERASER", §4, with log-probabilities; Petsiuk et al. 2018, "RISE", §4.2; Jain & Wallace 2019,
§4.1, for the rank correlation of importance with the weights.) The order by weights is held against others:

    random       the mean over several draws, and their spread
    uniform      no order at all: every annotation is erased by the share f
    gradient     |(a_i − ā) · ∂ log p / ∂ a_i|, the first-order estimate of erasing i
    occlusion    the importance itself, found by erasing one position after another
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
FRACTIONS = (0.01, 0.05, 0.1, 0.2, 0.5)
JUDGED = 0.2
"""The share of positions by which a word's evidence is judged."""
LEAST_LOSS = 0.1
"""The least loss of log p that counts."""
WEIGHTS, RANDOM, UNIFORM, GRADIENT, OCCLUSION = "weights", "random", "uniform", "gradient", "occlusion"
_DIGITS = 6


@dataclass(frozen=True)
class Curve:
    """What becomes of a word as positions are erased in one order.

    Attributes:
        deleted: log p without the first share of positions, for each of :data:`FRACTIONS`.
        inserted: log p with them alone.
        spread: of a random order, the standard deviation of ``deleted`` over the draws; empty of others.
    """

    deleted: tuple[float, ...]
    inserted: tuple[float, ...]
    spread: tuple[float, ...] = ()


@dataclass(frozen=True)
class Faithfulness:
    """What was measured for one word.

    Attributes:
        log_probability: of the word, with all positions there.
        log_probability_without: with none: every annotation is the mean.
        curves: by the name of the order.
        importance: of each position.
        weights: of each position, as the model returned them.
    """

    log_probability: float
    log_probability_without: float
    curves: Mapping[str, Curve]
    importance: tuple[float, ...]
    weights: tuple[float, ...] = field(repr=False)

    def comprehensiveness(self, order: str = WEIGHTS) -> tuple[float, ...]:
        """log p lost without the first share of positions, for each of :data:`FRACTIONS`."""
        return tuple(self.log_probability - each for each in self.curves[order].deleted)

    def sufficiency(self, order: str = WEIGHTS) -> tuple[float, ...]:
        """log p lost with the first share of positions alone, for each of :data:`FRACTIONS`."""
        return tuple(self.log_probability - each for each in self.curves[order].inserted)

    def deletion_area(self, order: str = WEIGHTS) -> float:
        """The area under p as positions go, 0…1; low is good."""
        return _area([self.log_probability, *self.curves[order].deleted, self.log_probability_without])

    def insertion_area(self, order: str = WEIGHTS) -> float:
        """The area under p as positions come, 0…1; high is good."""
        return _area([self.log_probability_without, *self.curves[order].inserted, self.log_probability])

    def probabilities(self, order: str = WEIGHTS) -> tuple[float, ...]:
        """p of the word as positions go: with all, without each of :data:`FRACTIONS`, and with none."""
        ends = self.log_probability, self.log_probability_without
        return tuple(math.exp(each) for each in (ends[0], *self.curves[order].deleted, ends[1]))

    @property
    def supported(self) -> bool:
        """Whether the word is less probable without the share :data:`JUDGED` that it looked at most: by more than
        :data:`LEAST_LOSS`, and by more than random positions take from it and twice their spread."""
        place, random = FRACTIONS.index(JUDGED), self.curves[RANDOM]
        by_chance = self.log_probability - random.deleted[place] + 2 * random.spread[place]
        return self.comprehensiveness()[place] > max(LEAST_LOSS, by_chance)

    @property
    def rank_correlation(self) -> float:
        """Spearman's ρ of importance and weights, −1…1; 0 where one of them is the same everywhere."""
        return rank_correlation(np.array(self.importance), np.array(self.weights))

    def to_dict(self) -> dict[str, Any]:
        """Plain data: numbers by their name, and the curves by the name of their order."""
        orders = {
            name: {
                "comprehensiveness": _rounded(self.comprehensiveness(name)),
                "sufficiency": _rounded(self.sufficiency(name)),
                "deletion_area": round(self.deletion_area(name), _DIGITS),
                "insertion_area": round(self.insertion_area(name), _DIGITS),
                **({"spread": _rounded(curve.spread)} if curve.spread else {}),
            }
            for name, curve in self.curves.items()
        }
        return {
            "supported": self.supported,
            "fractions": list(FRACTIONS),
            "orders": orders,
            "rank_correlation": round(self.rank_correlation, _DIGITS),
            "importance": _rounded(self.importance),
        }


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's ρ; equal numbers share the mean of their ranks. 0 where all numbers of one are equal."""
    ranks = [_ranks(each) - (len(each) - 1) / 2 for each in (one, other)]
    norm = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return float((ranks[0] * ranks[1]).sum()) / norm if norm else 0.0


def _ranks(numbers: Floats) -> Floats:
    _, places, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    middle: Floats = (last - sizes + last - 1) / 2
    return middle[places]


def _area(log_probabilities: Sequence[float]) -> float:
    """The trapezoid rule over the shares 0, :data:`FRACTIONS`, 1."""
    heights, places = np.exp(log_probabilities), np.array([0.0, *FRACTIONS, 1.0])
    return float(((heights[1:] + heights[:-1]) / 2 * np.diff(places)).sum())


def _rounded(numbers: Sequence[float]) -> list[float]:
    return [round(float(each), _DIGITS) for each in numbers]
