"""CIDEr-D: agreement of a caption with what several people wrote, rare words weighing more.

Source: Vedantam, Zitnick and Parikh 2015, "CIDEr: Consensus-based Image Description Evaluation", §4 and appendix
(CIDEr-D). A caption is a vector ``g`` of tf-idf weights, one vector for each order n = 1 … 4:
``g_k = count_k · (log I − log max(1, df_k))`` with I images and ``df_k`` the number of images whose references hold
n-gram k. Then, averaged over orders and references,

    ``CIDEr-D = 10 · exp(−(l_h − l_r)² / 2σ²) · min(g_h, g_r) · g_r / (‖g_h‖ ‖g_r‖)``,  σ = 6.

As in the COCO caption evaluation (Chen et al. 2015), which this file equals, the length ``l`` is the number of bigrams
and not of words, and the score of a corpus of one image is 0, because every n-gram is then in all images.

Self-critical training (Rennie et al. 2017) scores thousands of sampled captions a second against the same references,
so everything that does not depend on the hypothesis is computed once, in :meth:`CiderD.reference_vectors`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from regard.metrics.bleu import Tokens
from regard.metrics.checks import check_reference_groups, check_same_length
from regard.metrics.metric import CaptionMetric

MAX_ORDER = 4
SIGMA = 6.0
SCALE = 10.0

# An n-gram is one integer: its words' numbers, from 1, in digits of this many bits. Two n-grams of different length or
# words are different integers, and an integer is smaller and quicker to look up than a tuple.
_BITS = 24


@dataclass(frozen=True, slots=True)
class ReferenceVectors:
    """The references of one image, ready to be compared with many hypotheses.

    Attributes:
        occurrences: for each n-gram of any reference, the pairs (reference, count).
        norms: ``norms[order - 1][reference]``, the length of that tf-idf vector.
        lengths: the number of bigrams of each reference.
        unseen: numbers of the words that the document frequencies do not know, usually none.
    """

    occurrences: dict[int, tuple[tuple[int, int], ...]]
    norms: tuple[tuple[float, ...], ...]
    lengths: tuple[int, ...]
    unseen: dict[Hashable, int]


class CiderD:
    """CIDEr-D with document frequencies that were counted once, by :meth:`from_references`; it never changes."""

    __slots__ = ("_log_frequencies", "_log_images", "_numbers")

    def __init__(self, numbers: dict[Hashable, int], log_frequencies: dict[int, float], num_images: int) -> None:
        self._numbers = numbers
        self._log_frequencies = log_frequencies
        self._log_images = math.log(num_images)

    @classmethod
    def from_references(cls, references: Sequence[Sequence[Tokens]]) -> CiderD:
        """Count in how many images each n-gram occurs.

        Args:
            references: for each image, the token sequences (words or ids) of its references.

        Raises:
            DataError: there is no image, or an image has no reference.
        """
        num_images = check_same_length(references=references)
        check_reference_groups(references)
        numbers: dict[Hashable, int] = {}
        frequencies: dict[int, int] = {}
        for group in references:
            present: set[int] = set()
            for reference in group:
                present.update(*_count_ngrams([numbers.setdefault(word, len(numbers) + 1) for word in reference]))
            for key in present:
                frequencies[key] = frequencies.get(key, 0) + 1
        # log 1 = 0 is also the answer for an n-gram that was never seen: most n-grams need no entry
        return cls(numbers, {key: math.log(count) for key, count in frequencies.items() if count > 1}, num_images)

    def reference_vectors(self, references: Sequence[Tokens]) -> ReferenceVectors:
        """Prepare the references of one image. They need not be among those the frequencies were counted on.

        Raises:
            DataError: ``references`` is empty or a string.
        """
        check_reference_groups([references])
        unseen: dict[Hashable, int] = {}
        occurrences: dict[int, list[tuple[int, int]]] = {}
        norms = []
        for index, reference in enumerate(references):
            orders = _count_ngrams(self._number(reference, unseen))
            norms.append([self._norm(counts) for counts in orders])
            for counts in orders:
                for key, count in counts.items():
                    occurrences.setdefault(key, []).append((index, count))
        return ReferenceVectors(
            occurrences={key: tuple(pairs) for key, pairs in occurrences.items()},
            norms=tuple(zip(*norms, strict=True)),
            lengths=tuple(_num_bigrams(reference) for reference in references),
            unseen=unseen,
        )

    def score(self, hypothesis: Tokens, references: ReferenceVectors) -> float:
        """CIDEr-D of one hypothesis, between 0 and 10."""
        orders = _count_ngrams(self._number(hypothesis, dict(references.unseen)))
        similarity = [0.0] * len(references.lengths)
        for counts, reference_norms in zip(orders, references.norms, strict=True):
            norm, products = self._compare(counts, references)
            if norm:
                for index, reference_norm in enumerate(reference_norms):
                    if reference_norm:
                        similarity[index] += products[index] / (norm * reference_norm)
        length = _num_bigrams(hypothesis)
        total = sum(
            value * math.exp(-((length - reference_length) ** 2) / (2 * SIGMA**2))
            for value, reference_length in zip(similarity, references.lengths, strict=True)
        )
        return SCALE * total / (MAX_ORDER * len(similarity))

    def _compare(self, counts: dict[int, int], references: ReferenceVectors) -> tuple[float, list[float]]:
        """For one order: the norm of the hypothesis, and its clipped product with each reference."""
        log_images, log_frequencies, occurrences = self._log_images, self._log_frequencies, references.occurrences
        squares = 0.0
        products = [0.0] * len(references.lengths)
        for key, count in counts.items():
            rarity = log_images - log_frequencies.get(key, 0.0)
            squares += (count * rarity) ** 2
            for index, reference_count in occurrences.get(key, ()):
                products[index] += min(count, reference_count) * reference_count * rarity * rarity
        return math.sqrt(squares), products

    def _norm(self, counts: dict[int, int]) -> float:
        frequencies = self._log_frequencies
        return math.sqrt(
            sum((count * (self._log_images - frequencies.get(key, 0.0))) ** 2 for key, count in counts.items())
        )

    def _number(self, tokens: Tokens, unseen: dict[Hashable, int]) -> list[int]:
        """The number of each word; words without one get the next free one, which is added to ``unseen``."""
        known = self._numbers
        return [known.get(word) or unseen.setdefault(word, len(known) + len(unseen) + 1) for word in tokens]


def corpus_cider_d(hypotheses: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> float:
    """The mean CIDEr-D of a corpus, between 0 and 10; document frequencies come from its own references.

    Raises:
        DataError: the lengths differ, the corpus is empty, or an item has no reference.
    """
    scores = cider_d_scores(hypotheses, references)
    return sum(scores) / len(scores)


def cider_d_scores(hypotheses: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> list[float]:
    """The CIDEr-D of each item of a corpus, see :func:`corpus_cider_d`.

    Raises:
        DataError: the lengths differ, the corpus is empty, or an item has no reference.
    """
    check_same_length(hypotheses=hypotheses, references=references)
    cider = CiderD.from_references(references)
    pairs = zip(hypotheses, references, strict=True)
    return [cider.score(hypothesis, cider.reference_vectors(group)) for hypothesis, group in pairs]


def _count_ngrams(numbers: list[int]) -> list[dict[int, int]]:
    """How often each n-gram occurs, one table for each order."""
    orders = []
    keys = numbers
    for order in range(1, MAX_ORDER + 1):
        counts: dict[int, int] = {}
        for key in keys:
            counts[key] = counts.get(key, 0) + 1
        orders.append(counts)
        keys = [key << _BITS | following for key, following in zip(keys, numbers[order:], strict=False)]
    return orders


def _num_bigrams(tokens: Tokens) -> int:
    return max(0, len(tokens) - 1)


CIDER = CaptionMetric(("cider",), "cider-d:corpus-df", lambda texts, references: [corpus_cider_d(texts, references)])
