"""A source as a translator takes it in: whole where it is short enough, else in parts that are joined again.

A text is cut behind the last sentence that fits; where no sentence ends in time, in the second half of what fits,
behind a clause, else between words, else inside a word. Nothing is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from regard.errors import TextError
from regard.text import Encoded, TextCodec, WordPieces
from regard.text.vocabulary import EOS

MAX_CHARACTERS = 100_000
MAX_PIECES = 4_000
"""Longer texts are refused: the alignment of one grows with the square of its length."""

_SENTENCE_END = re.compile(r"""[.!?…]["'’”»)\]]*\s+$|[。！？]["'’”»」』)\]]*\s*$""")
_CLAUSE_END = re.compile(r"[,;:–—]\s+$|[，、；：،]\s*$")
_INSIDE, _BETWEEN_WORDS, _AT_SPACE, _CLAUSE, _SENTENCE = range(5)


@dataclass(frozen=True)
class Part:
    """Pieces that are translated together.

    Attributes:
        ids: of its pieces, ``<eos>`` at the end.
        words: the words of the whole text that it has pieces of, their pieces counted from its own first one.
        first_word: which word of the whole text the first of these is.
    """

    ids: tuple[int, ...]
    words: tuple[WordPieces, ...]
    first_word: int


@dataclass(frozen=True)
class Source:
    """A text to translate.

    Attributes:
        text: as typed.
        words: its words; the same as those of its parts, except that a part may begin or end inside of one.
        parts: in order; none where the text is empty.
    """

    text: str
    words: tuple[WordPieces, ...]
    parts: tuple[Part, ...]


def read_source(text: str, codec: TextCodec, *, longest: int) -> Source:
    """Take a text in.

    Args:
        text: anything.
        codec: of the source language.
        longest: the most pieces of a part, ``<eos>`` not counted.

    Raises:
        TextError: it is not Unicode text, or far too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise _too_long(f"{len(text):,} characters", f"up to {MAX_CHARACTERS:,}")
    encoded = codec.encode(text)
    if len(encoded) > MAX_PIECES:
        raise _too_long(f"{len(encoded):,} pieces", f"up to {MAX_PIECES:,}, which is about as many words")
    words = tuple(encoded.words)
    cuts = _cuts(encoded, words, longest)
    parts = [_part(encoded, words, first, last) for first, last in zip([0, *cuts], [*cuts, len(encoded)], strict=True)]
    return Source(text, words, tuple(parts) if len(encoded) else ())


def _too_long(size: str, allowed: str) -> TextError:
    return TextError(
        f"the text has {size}", allowed=allowed, remedy="give it in smaller portions, such as line by line"
    )


def _cuts(encoded: Encoded, words: Sequence[WordPieces], longest: int) -> list[int]:
    """The pieces before which the text is cut."""
    starts = {word.pieces[0] for word in words}
    cuts: list[int] = []
    first = 0
    while len(encoded) - first > longest:
        ranks = {piece: _rank(encoded, starts, piece) for piece in range(first + 1, first + longest + 1)}
        good = [piece for piece in ranks if ranks[piece] == _SENTENCE or piece - first > longest // 2]
        first = max(good or ranks, key=lambda piece: (ranks[piece], piece))
        cuts.append(first)
    return cuts


def _rank(encoded: Encoded, starts: set[int], piece: int) -> int:
    """How good it is to cut before a piece."""
    if piece not in starts:
        return _INSIDE
    start = encoded.spans[piece][0]
    before = encoded.text[max(0, start - 8) : start]
    if _SENTENCE_END.search(before):
        return _SENTENCE
    if _CLAUSE_END.search(before):
        return _CLAUSE
    return _AT_SPACE if before[-1:].isspace() else _BETWEEN_WORDS


def _part(encoded: Encoded, words: Sequence[WordPieces], first: int, last: int) -> Part:
    inside = [i for i, word in enumerate(words) if word.pieces[-1] >= first and word.pieces[0] < last]
    here = (replace(words[i], pieces=_shifted(words[i].pieces, first, last)) for i in inside)
    first_word = inside[0] if inside else 0
    return Part((*encoded.ids[first:last], EOS), tuple(here), first_word)


def _shifted(pieces: Sequence[int], first: int, last: int) -> tuple[int, ...]:
    return tuple(piece - first for piece in pieces if first <= piece < last)
