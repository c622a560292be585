"""Learning unigram pieces (Kudo 2018, §3.2), the same pieces for the same words every time.

Every piece has a probability of its own, and a word is the product of its pieces. Learning begins with all frequent
substrings and alternates two steps: expectation-maximisation of the probabilities over all segmentations of all words,
and dropping the pieces whose loss costs the least likelihood, until few enough are left.

    E   c(x) = Σ_words count · P(x in the segmentation | word)      forward-backward over the word's lattice
    M   log p(x) = ψ(c(x)) − ψ(Σ c)                                 the variational form, which starves rare pieces
    loss(x) = c*(x) · (log p(x) − log p(best segmentation of x without x)),  c* counted on best segmentations

Words are walked in sorted order and sums are taken in that order, which is what makes the result reproducible.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

LONGEST_PIECE = 16
_LONGEST_WORD = 32
_SHRINK = 0.75
_SEEDS_PER_PIECE = 12
_EM_STEPS = 2
_LEAST_COUNT = 0.5

Probabilities = dict[str, float]
"""Piece to log-probability."""


def train_unigram(counts: Mapping[str, int], *, alphabet: Sequence[str], size: int) -> list[tuple[str, float]]:
    """Learn ``size`` pieces, or fewer where the words do not offer so many.

    Args:
        counts: how often each word was seen; words are written in ``alphabet``.
        alphabet: single characters that always stay pieces.
        size: how many pieces to keep, at least those of the alphabet.

    Returns:
        Pieces with log-probabilities rounded to six decimals, the most probable first, equals in alphabetical order.
    """
    words = _in_parts(counts)
    protected = set(alphabet)
    pieces = _maximise(_seeds(words, alphabet, size), protected)
    while True:
        for _ in range(_EM_STEPS):
            pieces = _maximise(_expected_counts(words, pieces), protected)
        if len(pieces) <= size:
            break
        keep = max(size, int(len(pieces) * _SHRINK))
        pieces = _prune(words, pieces, protected, keep)
    rounded = [(piece, round(score, 6)) for piece, score in pieces.items()]
    return sorted(rounded, key=lambda scored: (-scored[1], scored[0]))


def _in_parts(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Words with counts, sorted; longer ones in parts, so that a product of probabilities never vanishes."""
    parts: dict[str, int] = {}
    for word, count in counts.items():
        for start in range(0, len(word), _LONGEST_WORD):
            part = word[start : start + _LONGEST_WORD]
            parts[part] = parts.get(part, 0) + count
    return sorted(parts.items())


def _seeds(words: Sequence[tuple[str, int]], alphabet: Sequence[str], size: int) -> dict[str, float]:
    """Substrings seen at least twice, those that cover most text; counts of the alphabet besides."""
    seen: dict[str, int] = {}
    for word, count in words:
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + LONGEST_PIECE) + 1):
                piece = word[start:end]
                seen[piece] = seen.get(piece, 0) + count
    frequent = [piece for piece, count in seen.items() if count > 1 and len(piece) > 1]
    frequent.sort(key=lambda piece: (-seen[piece] * len(piece), piece))
    single = {character: float(seen.get(character, 0)) for character in alphabet}
    return single | {piece: float(seen[piece]) for piece in frequent[: size * _SEEDS_PER_PIECE]}


def _maximise(counts: Mapping[str, float], protected: set[str]) -> Probabilities:
    kept = {piece: count for piece, count in counts.items() if count >= _LEAST_COUNT or piece in protected}
    total = _digamma(math.fsum(max(count, _LEAST_COUNT) for count in kept.values()))
    return {piece: _digamma(max(count, _LEAST_COUNT)) - total for piece, count in kept.items()}


def _expected_counts(words: Iterable[tuple[str, int]], pieces: Probabilities) -> dict[str, float]:
    expected = dict.fromkeys(pieces, 0.0)
    for word, count in words:
        arcs = _arcs(word, pieces)
        forward = [0.0] * (len(word) + 1)
        backward = [0.0] * (len(word) + 1)
        forward[0] = backward[-1] = 1.0
        for start, end, _, probability in arcs:
            forward[end] += forward[start] * probability
        for start, end, _, probability in reversed(arcs):
            backward[start] += probability * backward[end]
        scale = count / forward[-1]
        for start, end, piece, probability in arcs:
            expected[piece] += scale * forward[start] * probability * backward[end]
    return expected


def _arcs(word: str, pieces: Probabilities) -> list[tuple[int, int, str, float]]:
    """Every piece at every place of ``word`` with its probability, by start."""
    found = []
    for start in range(len(word)):
        for end in range(start + 1, min(len(word), start + LONGEST_PIECE) + 1):
            piece = word[start:end]
            score = pieces.get(piece)
            if score is not None:
                found.append((start, end, piece, math.exp(score)))
    return found


def _best_segmentation(word: str, pieces: Probabilities, *, without: str | None = None) -> tuple[list[str], float]:
    """The most probable pieces of ``word`` and their log-probability (Viterbi); the first of equals."""
    best: list[tuple[float, int]] = [(0.0, 0)] + [(-math.inf, 0)] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - LONGEST_PIECE), end):
            piece = word[start:end]
            score = pieces.get(piece)
            if score is not None and piece != without and best[start][0] + score > best[end][0]:
                best[end] = (best[start][0] + score, start)
    segments: list[str] = []
    end = len(word)
    while end:
        segments.append(word[best[end][1] : end])
        end = best[end][1]
    return segments[::-1], best[-1][0]


def _prune(words: Iterable[tuple[str, int]], pieces: Probabilities, protected: set[str], keep: int) -> Probabilities:
    """The ``keep`` pieces that would be missed most, all protected ones among them."""
    used = dict.fromkeys(pieces, 0)
    for word, count in words:
        for piece in _best_segmentation(word, pieces)[0]:
            used[piece] += count
    losses = {}
    for piece, score in pieces.items():
        if piece not in protected:
            alternative = _best_segmentation(piece, pieces, without=piece)[1]
            losses[piece] = used[piece] * (score - alternative)
    ranked = sorted(losses, key=lambda piece: (-losses[piece], piece))
    kept = protected.union(ranked[: max(0, keep - len(protected))])
    return {piece: score for piece, score in pieces.items() if piece in kept}


def _digamma(x: float) -> float:
    """ψ(x) for x > 0: the recurrence ψ(x) = ψ(x+1) − 1/x up to 6, then the asymptotic series (Abramowitz 6.3.18)."""
    result = 0.0
    while x < 6:
        result -= 1 / x
        x += 1
    inverse = 1 / (x * x)
    series = inverse * (1 / 12 - inverse * (1 / 120 - inverse * (1 / 252 - inverse * (1 / 240 - inverse / 132))))
    return result + math.log(x) - 1 / (2 * x) - series
