"""The interface of every tokenizer: text to ids and back, and which words, as people see them, the ids make up.

Attention weights are between pieces; people read words. A tokenizer gives the characters of the text that each piece
stands for, :func:`group_pieces` gathers pieces into words, and :func:`merge_weights` turns weights over pieces into
weights over words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from regard.text.vocabulary import EOS, FORBIDDEN
from regard.text.words import normalise, split_words

if TYPE_CHECKING:
    from regard.annotations import Span


@dataclass(frozen=True)
class WordPieces:
    """One word and the pieces that make it up.

    Attributes:
        text: the word as it stands in the text.
        pieces: positions of its pieces in the list of ids, at least one.
        span: its characters in the text: the source as typed, or the target as :meth:`Tokenizer.decode` gives it.
    """

    text: str
    pieces: tuple[int, ...]
    span: Span


@dataclass(frozen=True)
class Encoded:
    """A text as ids.

    Attributes:
        text: the text as typed.
        ids: one token id per piece.
        spans: for each piece its characters in ``text``; ``<eos>`` stands at (len, len).
    """

    text: str
    ids: tuple[int, ...]
    spans: tuple[Span, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def words(self) -> list[WordPieces]:
        """The words of the text as typed, each with its pieces; ``<eos>`` belongs to none."""
        return group_pieces(self.text, self.spans)


class Tokenizer(ABC):
    """Text to ids and back.

    Ids 0 to 3 are ``<pad>``, ``<bos>``, ``<eos>`` and ``<unk>`` in every tokenizer.

    Attributes:
        kind: the name that a saved tokenizer is known by.
        file_name: the one file that :meth:`save` writes.
    """

    kind: ClassVar[str]
    file_name: ClassVar[str]

    @property
    @abstractmethod
    def size(self) -> int:
        """How many ids there are, specials included."""

    @property
    def forbidden(self) -> tuple[int, ...]:
        """Ids that are never generated: ``<pad>``, ``<bos>`` and ``<unk>``."""
        return FORBIDDEN

    def encode(self, text: str, *, eos: bool = False) -> Encoded:
        """The pieces of ``text``.

        Args:
            text: any text, also an empty one.
            eos: end with ``<eos>``. Sources do, so that an empty text still has one position to look at.

        Raises:
            TextError: ``text`` is not Unicode text.
        """
        ids, spans = self._pieces(text)
        if eos:
            ids, spans = [*ids, EOS], [*spans, (len(text), len(text))]
        return Encoded(text, tuple(ids), tuple(spans))

    @abstractmethod
    def _pieces(self, text: str) -> tuple[list[int], list[Span]]:
        """The ids of ``text``, and for each its span in the text as typed."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text that ``ids`` spell; ``<pad>``, ``<bos>`` and ``<eos>`` spell nothing."""
        return self._spell(ids)[0]

    def words(self, ids: Sequence[int]) -> list[WordPieces]:
        """The words of ``decode(ids)``, each with its pieces; pieces that spell nothing belong to none."""
        return group_pieces(*self._spell(ids))

    @abstractmethod
    def _spell(self, ids: Sequence[int]) -> tuple[str, list[Span | None]]:
        """The text that ``ids`` spell, and for each id its span in it; None for the specials that spell nothing."""

    def normalise(self, text: str) -> str:
        """The text that remains of ``text`` when it is encoded and decoded again, unknown words aside."""
        return normalise(text).text

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the tokenizer into ``folder``, as one JSON file."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Tokenizer:
        """Read what :meth:`save` wrote.

        Raises:
            ModelError: the file is missing, damaged, of another kind or of a version not known here.
        """


def group_pieces(text: str, spans: Sequence[Span | None]) -> list[WordPieces]:
    """Gather pieces into the words of ``text``.

    A piece that reaches into several words makes them one word, since nothing can tell them apart. A piece that covers
    no letter of a word (white space, half of a character) belongs to the word after it. A word without a piece is left
    out.

    Args:
        text: the text that holds the words.
        spans: the characters of each piece, in order; None for a piece that is not text.
    """
    words = split_words(text)
    ends = [end for _, end in words]
    groups: list[_Group] = []
    for position, span in enumerate(spans):
        if span is None:
            continue
        first = bisect_right(ends, span[0])
        if first == len(words):
            continue
        last = first
        while last + 1 < len(words) and words[last + 1][0] < span[1]:
            last += 1
        if groups and first <= groups[-1].last:
            groups[-1].last = max(groups[-1].last, last)
            groups[-1].pieces.append(position)
        else:
            groups.append(_Group(first, last, [position]))
    return [_word_pieces(text, (words[group.first][0], words[group.last][1]), group.pieces) for group in groups]


@dataclass
class _Group:
    """Words ``first`` to ``last``, both included, that share pieces."""

    first: int
    last: int
    pieces: list[int]


def _word_pieces(text: str, span: Span, pieces: Sequence[int]) -> WordPieces:
    return WordPieces(text[span[0] : span[1]], tuple(pieces), span)


def merge_weights(
    weights: npt.ArrayLike, targets: Sequence[WordPieces], sources: Sequence[WordPieces] | None = None
) -> npt.NDArray[np.float64]:
    """Weights from piece to piece, as weights from word to word.

    A source word gets the sum of its pieces, a target word the mean of its pieces. What was paid to positions that
    belong to no word, such as ``<eos>``, is shared out by renormalising the row; a row that paid nothing to any word
    becomes uniform.

    Args:
        weights: [target piece, source position].
        targets: the words that were written.
        sources: the words that were read; None leaves the positions as they are, such as the regions of a picture.

    Returns:
        [target word, source word]; rows sum to 1, unless there is no source word at all.
    """
    pieces = np.asarray(weights, dtype=np.float64)
    assert pieces.ndim == 2, f"weights are [target piece, source position], not {pieces.shape}"
    counts = np.array([len(word.pieces) for word in targets], dtype=np.float64).reshape(-1, 1)
    merged: npt.NDArray[np.float64] = _sums(pieces, targets) / counts
    if sources is not None:
        merged = _sums(merged.T, sources).T
    totals = merged.sum(axis=1, keepdims=True)
    uniform = np.full_like(merged, 1 / max(1, merged.shape[1]))
    return np.where(totals > _NOTHING, merged / np.maximum(totals, _NOTHING), uniform)


def _sums(rows: npt.NDArray[np.float64], words: Sequence[WordPieces]) -> npt.NDArray[np.float64]:
    """[word, …]: of the rows [piece, …] of each word, of which each has some."""
    if not words:
        return np.zeros((0, *rows.shape[1:]))
    ends = np.cumsum([len(word.pieces) for word in words])
    places = [piece for word in words for piece in word.pieces]
    sums: npt.NDArray[np.float64] = np.add.reduceat(rows[places], [0, *ends[:-1]], axis=0)
    return sums


_NOTHING = 1e-12
