"""BLEU with its uncertainty: bootstrap confidence intervals, by source length, and the comparison of two systems.

Source: Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation". A test set of n sentences is
drawn again n at a time, with replacement, many times; the spread of BLEU over the draws stands for its uncertainty. The
95 % interval reaches from the 2.5th to the 97.5th percentile. BLEU is sacreBLEU's (cased, 13a tokens, exponential
smoothing), and is computed from counts kept for each sentence, so a draw is a sum and not a new evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from regard.errors import ConfigError
from regard.metrics.bleu import MAX_ORDER, BleuReferences
from regard.metrics.checks import check_same_length
from regard.metrics.translations import check_one_reference_each

Statistics: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthBin:
    """BLEU of the sentences whose source has ``shortest`` … ``longest`` words; the last bin has no ``longest``.

    ``bleu``, ``low`` and ``high`` (the ends of the confidence interval) are between 0 and 100, or ``None`` where
    ``count`` is 0.
    """

    shortest: int
    longest: int | None
    count: int
    bleu: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """Two systems on one test set, by BLEU between 0 and 100 or by the mean of another score.

    ``p_value`` is the share of draws in which the system that is better on the whole set is not better.
    """

    first: float
    second: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """How to draw: the number of draws, the part of them inside the interval, and the seed."""

    num_draws: int = 1000
    confidence: float = 0.95
    seed: int = 1

    def __post_init__(self) -> None:
        if self.num_draws < 1:
            raise ConfigError(f"num_draws is {self.num_draws}", allowed="1 or more")
        if not 0 < self.confidence < 1:
            raise ConfigError(f"confidence is {self.confidence}", allowed="a number between 0 and 1")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}", allowed="0 or more")


def bleu_by_length(
    hypotheses: Sequence[str],
    references: Sequence[str],
    source_lengths: Sequence[int],
    *,
    bins: Sequence[int] = (10, 20, 30, 40, 50),
    bootstrap: Bootstrap = Bootstrap(),
) -> list[LengthBin]:
    """BLEU as the source grows, the figure of Bahdanau et al. 2015 (figure 2).

    Args:
        hypotheses: the translations.
        references: the reference of each.
        source_lengths: the number of words of each source sentence.
        bins: the longest source of each bin but the last, ascending: ``(10, 20)`` makes 0–10, 11–20 and 21 or more.
        bootstrap: how the confidence intervals are drawn. Each bin has its own draws, so another bin changes nothing.

    Raises:
        DataError: the lengths differ, the corpus is empty, or a reference is a list.
        ConfigError: ``bins`` does not ascend.
    """
    check_same_length(hypotheses=hypotheses, references=references, source_lengths=source_lengths)
    edges = list(bins)
    if sorted(set(edges)) != edges or not all(edge >= 0 for edge in edges):
        raise ConfigError(f"the bins are {edges}", allowed="ascending lengths, such as 10, 20, 30")
    statistics = bleu_statistics(hypotheses, references)
    places = np.searchsorted(edges, np.asarray(source_lengths), side="left")
    return [
        _length_bin(
            statistics[places == index],
            shortest=edges[index - 1] + 1 if index else 0,
            longest=edges[index] if index < len(edges) else None,
            bootstrap=bootstrap,
        )
        for index in range(len(edges) + 1)
    ]


def compare_systems(
    first: Sequence[str],
    second: Sequence[str],
    references: Sequence[str],
    *,
    bootstrap: Bootstrap = Bootstrap(),
) -> PairedComparison:
    """Paired bootstrap: both systems are scored on the same draws (Koehn 2004, §3).

    Raises:
        DataError: the lengths differ, the corpus is empty, or a reference is a list.
    """
    check_same_length(first=first, second=second, references=references)
    both = np.stack([bleu_statistics(first, references), bleu_statistics(second, references)], axis=1)
    return _compare(bleu_from_statistics(both.sum(axis=0)), bleu_from_statistics(_draws(both, bootstrap)))


def compare_means(
    first: Sequence[float], second: Sequence[float], *, bootstrap: Bootstrap = Bootstrap()
) -> PairedComparison:
    """Paired bootstrap of a score that is the mean over the items of a test set, such as CIDEr-D.

    Args:
        first, second: the score of each item.
        bootstrap: how to draw.

    Raises:
        DataError: the lengths differ, or there is no item.
    """
    count = check_same_length(first=first, second=second)
    both = np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)], axis=1)
    return _compare(both.mean(axis=0), _draws(both, bootstrap) / count)


def _compare(scores: Statistics, drawn: Statistics) -> PairedComparison:
    """From the scores of both systems, [2], and those in each draw, [draws, 2]."""
    ahead = np.sign(scores[0] - scores[1])
    return PairedComparison(
        first=float(scores[0]),
        second=float(scores[1]),
        p_value=float(np.mean(ahead * (drawn[:, 0] - drawn[:, 1]) <= 0)),
    )


def bleu_statistics(hypotheses: Sequence[str], references: Sequence[str]) -> Statistics:
    """The counts of each sentence that BLEU sums up.

    Returns:
        shape [sentences, 10]: the two lengths in 13a tokens, matches of order 1 … 4, hypothesis n-grams of order 1 … 4.

    Raises:
        DataError: the lengths differ, the corpus is empty, or a reference is a list.
    """
    from sacrebleu.metrics.bleu import BLEU  # loads slowly, and only an evaluation needs it

    check_same_length(hypotheses=hypotheses, references=references)
    check_one_reference_each(references)
    tokenize = BLEU(tokenize="13a").tokenizer
    rows = []
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        found, expected = tokenize(hypothesis.rstrip()).split(), tokenize(reference.rstrip()).split()
        totals = [max(0, len(found) - order) for order in range(MAX_ORDER)]
        rows.append([len(found), len(expected), *BleuReferences([expected]).matches(found), *totals])
    return np.array(rows, dtype=np.float64)


def bleu_from_statistics(sums: Statistics) -> npt.NDArray[np.float64]:
    """sacreBLEU of summed counts, between 0 and 100.

    The k-th order without a match counts ``1 / 2^k`` matches (exponential smoothing, Chen and Cherry 2014, method 3);
    without any match at all, or without a single n-gram of some order, the score is 0.

    Args:
        sums: shape [..., 10], as :func:`bleu_statistics` orders them.

    Returns:
        shape [...].
    """
    hypothesis, reference = sums[..., 0], sums[..., 1]
    matched, total = sums[..., 2 : 2 + MAX_ORDER], sums[..., 2 + MAX_ORDER :]
    missing = matched == 0
    smoothed = np.where(missing, 0.5 ** np.cumsum(missing, axis=-1), matched)
    logs = np.log(smoothed) - np.log(np.maximum(total, 1))
    penalty = np.minimum(0, 1 - reference / np.maximum(hypothesis, 1))
    scorable = matched.any(axis=-1) & (total > 0).all(axis=-1)
    return np.where(scorable, 100 * np.exp(logs.mean(axis=-1) + penalty), 0.0)


def _length_bin(statistics: Statistics, *, shortest: int, longest: int | None, bootstrap: Bootstrap) -> LengthBin:
    bleu = low = high = None
    if len(statistics):
        bleu = float(bleu_from_statistics(statistics.sum(axis=0)))
        tail = (1 - bootstrap.confidence) / 2
        low, high = map(float, np.quantile(bleu_from_statistics(_draws(statistics, bootstrap)), [tail, 1 - tail]))
    return LengthBin(shortest=shortest, longest=longest, count=len(statistics), bleu=bleu, low=low, high=high)


def _draws(statistics: Statistics, bootstrap: Bootstrap) -> Statistics:
    """The summed counts of each draw: [sentences, ...] becomes [draws, ...]."""
    generator = np.random.default_rng(bootstrap.seed)
    count = len(statistics)
    return np.stack([statistics[generator.integers(count, size=count)].sum(axis=0) for _ in range(bootstrap.num_draws)])
