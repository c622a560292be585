"""BLEU over tokens: corpus scores as the captioning field reports them, and a smoothed score of one sentence.

Source: Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation". The corpus score follows
the conventions of the COCO caption evaluation (Chen et al. 2015, §3): the reference length closest to the hypothesis
counts, the shorter one on a tie, and two tiny constants take the place of smoothing, so that an empty hypothesis gives
a number near zero and not an error. Tokens may be words or ids: anything hashable.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TypeAlias

from regard.metrics.checks import check_reference_groups, check_same_length
from regard.metrics.metric import CaptionMetric

MAX_ORDER = 4

Tokens: TypeAlias = Sequence[Hashable]
NgramCounts: TypeAlias = Counter[tuple[Hashable, ...]]

# Added to numerators and denominators by the COCO caption evaluation; kept so that its numbers come out exactly.
_TINY = 1e-15
_SMALL = 1e-9


def ngram_counts(tokens: Tokens, max_order: int = MAX_ORDER) -> NgramCounts:
    """How often each n-gram of order 1 … ``max_order`` occurs in ``tokens``."""
    words = tuple(tokens)
    return Counter(
        words[start : start + order]
        for order in range(1, min(max_order, len(words)) + 1)
        for start in range(len(words) - order + 1)
    )


class BleuReferences:
    """The references of one item, counted once so that many hypotheses can be compared with them.

    Args:
        references: the token sequences of one item, at least one.
    """

    __slots__ = ("_lengths", "_max_counts")

    def __init__(self, references: Sequence[Tokens]) -> None:
        check_reference_groups([references])
        self._lengths = sorted({len(reference) for reference in references})
        self._max_counts: NgramCounts = Counter()
        for reference in references:
            self._max_counts |= ngram_counts(reference)

    def closest_length(self, length: int) -> int:
        """The reference length nearest to ``length``; the shorter of two that are equally near."""
        return min(self._lengths, key=lambda candidate: (abs(candidate - length), candidate))

    def matches(self, hypothesis: Tokens) -> list[int]:
        """Clipped n-gram matches of order 1 … 4: an n-gram counts at most as often as in one reference."""
        matched = [0] * MAX_ORDER
        allowed = self._max_counts
        for ngram, count in ngram_counts(hypothesis).items():
            limit = allowed.get(ngram)
            if limit is not None:
                matched[len(ngram) - 1] += min(count, limit)
        return matched

    def sentence_bleu(self, hypothesis: Tokens) -> float:
        """BLEU-4 of one sentence, see :func:`sentence_bleu`."""
        length = len(hypothesis)
        if not length:
            return 0.0
        matched = self.matches(hypothesis)
        if not matched[0]:
            return 0.0
        log_precision = math.log(matched[0] / length)
        for order in range(2, MAX_ORDER + 1):
            log_precision += math.log((matched[order - 1] + 1) / (max(0, length - order + 1) + 1))
        return math.exp(log_precision / MAX_ORDER + min(0.0, 1.0 - self.closest_length(length) / length))


def corpus_bleu(
    hypotheses: Sequence[Tokens], references: Sequence[Sequence[Tokens]]
) -> tuple[float, float, float, float]:
    """BLEU-1 … BLEU-4 of a corpus, each between 0 and 1.

    With the matches ``m_n`` and the hypothesis n-grams ``t_n`` summed over the corpus, the hypothesis length ``c`` and
    the closest reference length ``r``: ``BLEU-k = min(1, exp(1 − r/c)) · (∏_{n≤k} m_n / t_n)^{1/k}``.

    Args:
        hypotheses: one token sequence an item.
        references: the reference token sequences of each item.

    Raises:
        DataError: the lengths differ, the corpus is empty, or an item has no reference.
    """
    check_same_length(hypotheses=hypotheses, references=references)
    check_reference_groups(references)
    matched, total = [0] * MAX_ORDER, [0] * MAX_ORDER
    hypothesis_length = reference_length = 0
    for hypothesis, group in zip(hypotheses, references, strict=True):
        counted = BleuReferences(group)
        length = len(hypothesis)
        hypothesis_length += length
        reference_length += counted.closest_length(length)
        for index, count in enumerate(counted.matches(hypothesis)):
            matched[index] += count
            total[index] += max(0, length - index)
    ratio = (hypothesis_length + _TINY) / (reference_length + _SMALL)
    penalty = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    scores = []
    product = 1.0
    for order in range(1, MAX_ORDER + 1):
        product *= (matched[order - 1] + _TINY) / (total[order - 1] + _SMALL)
        scores.append(penalty * product ** (1 / order))
    return scores[0], scores[1], scores[2], scores[3]


def sentence_bleu(hypothesis: Tokens, references: Sequence[Tokens]) -> float:
    """Smoothed BLEU-4 of one sentence, between 0 and 1.

    One is added to the matches and to the totals of bigrams and longer n-grams, and to unigrams nothing, so that a
    sentence without a common word scores 0 (Lin & Och 2004, "ORANGE", §4). To score many hypotheses against the same
    references, build :class:`BleuReferences` once.

    Raises:
        DataError: ``references`` is empty or a string.
    """
    return BleuReferences(references).sentence_bleu(hypothesis)


CAPTION_BLEU = CaptionMetric(("bleu1", "bleu2", "bleu3", "bleu4"), "bleu:closest", corpus_bleu)
