"""Subword regularisation: a word is cut into other pieces from epoch to epoch, so that a model learns how pieces spell.

    BPE dropout   each merge that could be made next is left out with probability p (Provilkov et al. 2020, §3.2)
    unigram       a segmentation x is drawn with P(x) ∝ (Π p(x_i))^α (Kudo 2018, §3.1), by forward filtering and
                  backward sampling over all segmentations

A word has a fixed number of drawn segmentations, a function of (seed, word); which of them stands in a sentence is
drawn anew in each epoch. The papers draw from all segmentations each time; with eight a word an epoch of sentences is
put together by indexing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random

from regard.text.subwords import Merges, Scores, SubwordTokenizer
from regard.text.unigram import LONGEST_PIECE

VARIANTS = 8
"""Segmentations that are drawn for each word."""

Ids = tuple[int, ...]


class SegmentationSampler:
    """Segmentations of words, drawn at random.

    Args:
        tokenizer: the subwords.
        dropout: p of BPE dropout; of a unigram model 1 − α. 0 always gives the tokenizer's own segmentation.
        seed: what is drawn for a word is a function of it and of the word.
    """

    def __init__(self, tokenizer: SubwordTokenizer, *, dropout: float, seed: int) -> None:
        self._tokenizer, self._dropout, self._seed = tokenizer, dropout, seed
        self._ids = {piece: tokenizer.piece_id(place) for place, piece in enumerate(tokenizer.rules.pieces)}
        self._ranks: dict[tuple[str, str], int] = {}
        self._scores: Mapping[str, float] = {}
        match tokenizer.rules:
            case Merges(pairs=pairs):
                self._ranks = {pair: rank for rank, pair in enumerate(pairs)}
            case Scores(scores=scores):
                self._scores = {piece: (1 - dropout) * score for piece, score in scores}

    def variants(self, word: str) -> list[Ids]:
        """:data:`VARIANTS` segmentations of a word in byte symbols (see :meth:`SubwordTokenizer.spelled_words`)."""
        if not self._dropout:
            return [self._tokenizer.word_ids(word)] * VARIANTS
        random = Random(f"{self._seed} {word}")
        if self._ranks or not self._scores:
            drawn = [dropped_merges(word, self._ranks, self._dropout, random) for _ in range(VARIANTS)]
        else:
            drawn = sampled_segmentations(word, self._scores, random, count=VARIANTS)
        return [tuple(self._ids[piece] for piece in pieces) for pieces in drawn]


def dropped_merges(word: str, ranks: Mapping[tuple[str, str], int], dropout: float, random: Random) -> list[str]:
    """The pieces of a word by byte pair encoding, each possible merge passed over with probability ``dropout``.

    The best-ranked pair that is left is merged, until none is left (Provilkov et al. 2020, algorithm 1).
    """
    pieces = list(word)
    while len(pieces) > 1:
        best, place = math.inf, -1
        for i in range(len(pieces) - 1):
            rank = ranks.get((pieces[i], pieces[i + 1]))
            if rank is not None and rank < best and random.random() >= dropout:
                best, place = rank, i
        if place < 0:
            break
        pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
    return pieces


def sampled_segmentations(word: str, scores: Mapping[str, float], random: Random, *, count: int) -> list[list[str]]:
    """``count`` segmentations of a word, each with a probability proportional to exp of its sum of scores.

    Args:
        word: in symbols that are pieces themselves.
        scores: a log-probability per piece, scaled by α.
        random: what to draw from.
        count: how many.
    """
    arcs: list[list[tuple[int, float]]] = [[] for _ in range(len(word) + 1)]
    forward = [0.0] + [-math.inf] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - LONGEST_PIECE), end):
            score = scores.get(word[start:end])
            if score is not None:
                arcs[end].append((start, forward[start] + score))
        greatest = max(total for _, total in arcs[end])
        forward[end] = greatest + math.log(sum(math.exp(total - greatest) for _, total in arcs[end]))
    return [_walk_back(word, arcs, forward, random) for _ in range(count)]


def _walk_back(word: str, arcs: list[list[tuple[int, float]]], forward: list[float], random: Random) -> list[str]:
    pieces: list[str] = []
    end = len(word)
    while end:
        shares = [math.exp(total - forward[end]) for _, total in arcs[end]]
        (start,) = random.choices([start for start, _ in arcs[end]], shares)
        pieces.append(word[start:end])
        end = start
    return pieces[::-1]
