"""Whether a word's weights are its reasons: erase what it looked at, and see what becomes of its probability.

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
import torch

from regard.annotations import Annotations
from regard.decoders.base import Decoder, Stepper
from regard.evidence.erasure import Floats, Written, erased_log_probabilities, real_positions
from regard.text.vocabulary import BOS

Order = npt.NDArray[np.intp]
"""Positions, the first to be erased first."""
FRACTIONS = (0.01, 0.05, 0.1, 0.2, 0.5)
JUDGED = 0.2
"""The share of positions by which a word's evidence is judged."""
LEAST_LOSS = 0.1
"""The least loss of log p that counts."""
DRAWS = 5
"""Random orders that the order by weights is held against."""
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


def measure_words(
    stepper: Stepper, annotations: Annotations, written: Written, *, decoder: Decoder | None = None, seed: int = 0
) -> list[Faithfulness]:
    """Measure every word of a text.

    Args:
        stepper: of the model's decoder.
        annotations: of the text's input, alone in its batch.
        written: the text.
        decoder: the decoder itself, for the order by gradient; None leaves that out.
        seed: of the random orders.
    """
    if not written.words:
        return []
    erasures = _Erasures(stepper, annotations, written)
    importance = erasures.importance()
    weights = written.word_weights()[:, : erasures.count]
    orders = {WEIGHTS: descending(weights), OCCLUSION: descending(importance)}
    if decoder is not None:
        orders[GRADIENT] = descending(gradient_importance(decoder, annotations, written)[:, : erasures.count])
    curves = {name: erasures.curves(order) for name, order in orders.items()}
    curves[RANDOM] = erasures.random_curves(seed)
    curves[UNIFORM] = erasures.uniform_curves()
    full, none = erasures.ends()
    return [
        Faithfulness(
            log_probability=float(full[word]),
            log_probability_without=float(none[word]),
            curves={name: found[word] for name, found in curves.items()},
            importance=tuple(importance[word].tolist()),
            weights=tuple(weights[word].tolist()),
        )
        for word in range(len(written.words))
    ]


def counts(positions: int) -> tuple[int, ...]:
    """How many positions each of :data:`FRACTIONS` is: at least one, and never all where there are several."""
    return tuple(min(max(1, round(share * positions)), max(1, positions - 1)) for share in FRACTIONS)


class _Erasures:
    """What is asked of one text and its input."""

    def __init__(self, stepper: Stepper, annotations: Annotations, written: Written) -> None:
        self._stepper, self._annotations, self._written = stepper, annotations, written
        self.count = real_positions(annotations)
        self._size = annotations.values.shape[1]
        sizes = counts(self.count)
        self._sizes = sorted(set(sizes))
        self._shares = [self._sizes.index(size) for size in sizes]

    def ends(self) -> tuple[Floats, Floats]:
        """log p of each word with all positions, and with none."""
        full, none = self._all_words(np.stack([np.ones(self._size), np.zeros(self._size)]))
        return full, none

    def importance(self) -> Floats:
        """log p that each word loses with each position, [word, position]."""
        alone = np.ones((self.count + 1, self._size))
        alone[np.arange(self.count), np.arange(self.count)] = 0.0
        found = self._all_words(alone)
        lost: Floats = found[-1] - found[:-1]
        return lost.T

    def curves(self, orders: Order) -> list[Curve]:
        """A curve for each word, of its own order of positions [word, position]."""
        strengths = np.concatenate([self._steps(order) for order in orders])
        owners = np.repeat(np.arange(len(orders)), 2 * len(self._sizes))
        asked = [self._written.range_of(int(owner)) for owner in owners]
        pieces = erased_log_probabilities(self._stepper, self._annotations, strengths, self._written.ids, asked)
        own = self._written.of_words(pieces)[np.arange(len(owners)), owners].reshape(len(orders), 2, -1)
        own = own[:, :, self._shares]
        return [Curve(tuple(deleted.tolist()), tuple(inserted.tolist())) for deleted, inserted in own]

    def random_curves(self, seed: int) -> list[Curve]:
        """A curve for each word, the mean over random orders that all words share."""
        generator = np.random.default_rng(seed)
        draws = [self._steps(generator.permutation(self.count)) for _ in range(DRAWS)]
        found = self._all_words(np.concatenate(draws)).reshape(DRAWS, 2, len(self._sizes), -1)[:, :, self._shares]
        mean, spread = found.mean(axis=0), found[:, 0].std(axis=0, ddof=1)
        return [
            Curve(tuple(mean[0, :, word].tolist()), tuple(mean[1, :, word].tolist()), tuple(spread[:, word].tolist()))
            for word in range(len(self._written.words))
        ]

    def uniform_curves(self) -> list[Curve]:
        """A curve for each word, erased everywhere alike."""
        left = np.array([*(1 - share for share in FRACTIONS), *FRACTIONS])
        found = self._all_words(np.repeat(left[:, None], self._size, axis=1)).reshape(2, len(FRACTIONS), -1)
        return [Curve(*(tuple(part[:, word].tolist()) for part in found)) for word in range(len(self._written.words))]

    def _steps(self, order: Order) -> Floats:
        """What is left of each size of share: first all but those that come first, then these; [2 · size, position]."""
        first = np.zeros((len(self._sizes), self._size))
        for row, size in zip(first, self._sizes, strict=True):
            row[order[:size]] = 1.0
        return np.concatenate([1 - first, first])

    def _all_words(self, strengths: Floats) -> Floats:
        """log p of all words from each copy, [copy, word]."""
        asked = [range(len(self._written.ids))] * len(strengths)
        pieces = erased_log_probabilities(self._stepper, self._annotations, strengths, self._written.ids, asked)
        return self._written.of_words(pieces)


def gradient_importance(decoder: Decoder, annotations: Annotations, written: Written) -> Floats:
    """|(a_i − ā) · ∂ log p / ∂ a_i| of each word, [word, position]."""
    words, device = len(written.words), annotations.values.device
    tokens = torch.tensor([[BOS, *written.ids[:-1]]], device=device).unsqueeze(0)
    mean = annotations.mean().unsqueeze(1)
    with torch.inference_mode(False), torch.enable_grad():
        # a copy for each word: one backward pass gives the gradients of all
        values = annotations.values.detach().clone().expand(words, -1, -1).contiguous().requires_grad_(True)
        mask = None if annotations.mask is None else annotations.mask.clone().expand(words, -1)
        summary = None if annotations.summary is None else annotations.summary.clone().expand(words, -1)
        trace = decoder.trace(Annotations(values, mask, summary), tokens.clone().expand(words, -1, -1))
        log_probabilities = decoder.logits(trace.readouts[:, 0]).float().log_softmax(dim=-1)
        own = [
            log_probabilities[word, place, written.ids[place]]
            for word, pieces in enumerate(written.words)
            for place in pieces
        ]
        (gradient,) = torch.autograd.grad(torch.stack(own).sum(), values)
    found: Floats = ((values.detach() - mean) * gradient).sum(dim=-1).abs().double().cpu().numpy()
    return found


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


def descending(numbers: Floats) -> Order:
    """The order of positions of each row, the largest number first, equals from the first on."""
    return np.argsort(-numbers, axis=1, kind="stable")


def _area(log_probabilities: Sequence[float]) -> float:
    """The trapezoid rule over the shares 0, :data:`FRACTIONS`, 1."""
    heights, places = np.exp(log_probabilities), np.array([0.0, *FRACTIONS, 1.0])
    return float(((heights[1:] + heights[:-1]) / 2 * np.diff(places)).sum())


def _rounded(numbers: Sequence[float]) -> list[float]:
    return [round(float(each), _DIGITS) for each in numbers]
