"""Segmentation of sources: a text is translated sentence by sentence, and joined again afterwards.

Translators learn from single sentences; given several as one, they translate the first and lose the others. So a text
is cut behind every sentence. A sentence that is too long is cut in the second half of what fits, behind a clause, else
between words, else inside a word. Nothing is left out.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from regard.errors import TextError
from regard.text import Encoded, Tokenizer, WordPieces
from regard.text.source_words import SourceWords
from regard.text.vocabulary import EOS

MAX_CHARACTERS = 100_000
MAX_PIECES = 4_000
"""Longer texts are refused: the alignment of one grows with the square of its length."""

_CLOSING = r"""["'’”»)\]]*"""
_STOP = re.compile(rf"[.!?…]{_CLOSING}\s+$|[。！？]{_CLOSING}\s*$")
_FULL_STOP = re.compile(rf"""([^\s"'“„«(\[]+)\.{_CLOSING}\s+$""")
# a stop without a space behind it, after a word of letters alone: no address, no number, no abbreviation with points
_GLUED = re.compile(rf"(?:^|[\s(\['\"“„«!?…])[^\W\d_]{{2,}}(?:[!?…]+|\.+){_CLOSING}$")
_HOST = re.compile(r"\w+\.\w")
_CLAUSE = re.compile(r"[,;:–—]\s+$|[，、；：،]\s*$")
_ABBREVIATION = re.compile(
    "approx|ave|blvd|bzw|capt|cf|co|corp|dr|etc|ev|evtl|fig|ggf|inc|jr|lt|ltd|mio|mlle|mme|mr|mrs|ms|mt|nr|prof|rev|"
    "sr|st|str|usw|vgl|vol|vs",
    re.IGNORECASE,
)
_LOOK_BACK = 24
"""How many characters before a position decide whether a sentence ends there."""
_INSIDE, _BETWEEN_WORDS, _AT_SPACE, _AT_CLAUSE, _AT_STOP = range(5)


@dataclass(frozen=True)
class Segment:
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
        words: its words; the same as those of its segments, except that a segment may begin or end inside of one.
        segments: in order; none where the text is empty.
        unfamiliar: whether much of it is unlike what the model learned from; False where the model cannot tell.
    """

    text: str
    words: tuple[WordPieces, ...]
    segments: tuple[Segment, ...]
    unfamiliar: bool = False


def segment_source(text: str, tokenizer: Tokenizer, *, longest: int | None, known: SourceWords | None = None) -> Source:
    """Take a text in.

    Args:
        text: anything.
        tokenizer: of the source language.
        longest: the most pieces of a segment, ``<eos>`` not counted; None to make one segment of all, however many
            sentences there are.
        known: the words that the model learned from, in the spelling of which the text is read; None to read it as
            typed.

    Raises:
        TextError: it is not Unicode text, or far too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise _too_long(f"{len(text):,} characters", f"up to {MAX_CHARACTERS:,}")
    encoded = tokenizer.encode(text) if known is None else known.encode(tokenizer, text)
    if len(encoded) > MAX_PIECES:
        raise _too_long(f"{len(encoded):,} pieces", f"up to {MAX_PIECES:,}, which is about as many words")
    words = tuple(encoded.words)
    cuts = [] if longest is None else _cuts(encoded, words, longest)
    segments = [
        _segment(encoded, words, first, last) for first, last in zip([0, *cuts], [*cuts, len(encoded)], strict=True)
    ]
    unfamiliar = known is not None and known.unfamiliar(text)
    return Source(text, words, tuple(segments) if len(encoded) else (), unfamiliar)


def _too_long(size: str, allowed: str) -> TextError:
    return TextError(
        f"the text has {size}", allowed=allowed, remedy="give it in smaller portions, such as line by line"
    )


def _cuts(encoded: Encoded, words: Sequence[WordPieces], longest: int) -> list[int]:
    """The pieces before which the text is cut."""
    starts = frozenset(word.pieces[0] for word in words)
    cuts: list[int] = []
    first = 0
    for end in [*_sentence_starts(encoded, words), len(encoded)]:
        while end - first > longest:
            first = _best_cut(encoded, starts, first, longest)
            cuts.append(first)
        if end < len(encoded):
            cuts.append(end)
            first = end
    return cuts


def _sentence_starts(encoded: Encoded, words: Sequence[WordPieces]) -> list[int]:
    """The first piece of each sentence but the first; what holds no letter and no digit is no sentence."""
    has_word = [any(character.isalnum() for character in word.text) for word in words]
    last = max((i for i, each in enumerate(has_word) if each), default=0)
    starts: list[int] = []
    holds_words = False
    for i, word in enumerate(words[: last + 1]):
        if holds_words and _ends_sentence(encoded.text, word.span[0]):
            starts.append(word.pieces[0])
            holds_words = False
        holds_words = holds_words or has_word[i]
    return starts


def _ends_sentence(text: str, position: int) -> bool:
    """Whether a sentence surely ends before ``position``: no abbreviation, initial or number before the full stop, and
    no small letter behind it."""
    before = text[max(0, position - _LOOK_BACK) : position]
    glued = _is_glued(before, text[position : position + _LOOK_BACK])
    if not (glued or _STOP.search(before)) or text[position].islower():
        return False
    found = _FULL_STOP.search(f"{before} " if glued else before)
    if found is None:
        return True
    word = found[1].rstrip(".")
    return not (len(word) == 1 or word.isdigit() or "." in word or _ABBREVIATION.fullmatch(word))


def _is_glued(before: str, after: str) -> bool:
    """Whether a sentence ends between two words that no space segments, as in "a dog.A cat"."""
    return bool(_GLUED.search(before)) and after[0].isalpha() and not (before[-1] == "." and _HOST.match(after))


def _best_cut(encoded: Encoded, starts: AbstractSet[int], first: int, longest: int) -> int:
    """Where to cut a sentence of more than ``longest`` pieces from ``first`` on."""
    second_half = range(first + max(1, longest // 2), first + longest + 1)
    return max(second_half, key=lambda piece: (_rank(encoded, starts, piece), piece))


def _rank(encoded: Encoded, starts: AbstractSet[int], piece: int) -> int:
    """How good it is to cut before a piece."""
    if piece not in starts:
        return _INSIDE
    start = encoded.spans[piece][0]
    before = encoded.text[max(0, start - _LOOK_BACK) : start]
    if _STOP.search(before):
        return _AT_STOP
    if _CLAUSE.search(before):
        return _AT_CLAUSE
    return _AT_SPACE if before[-1:].isspace() else _BETWEEN_WORDS


def _segment(encoded: Encoded, words: Sequence[WordPieces], first: int, last: int) -> Segment:
    if first == 0 and last == len(encoded):
        return Segment((*encoded.ids, EOS), tuple(words), 0)
    begin = bisect_left(words, first, key=lambda word: word.pieces[-1])
    inside = range(begin, bisect_left(words, last, lo=begin, key=lambda word: word.pieces[0]))
    here = (replace(words[i], pieces=_shifted(words[i].pieces, first, last)) for i in inside)
    first_word = begin if inside else 0
    return Segment((*encoded.ids[first:last], EOS), tuple(here), first_word)


def _shifted(pieces: Sequence[int], first: int, last: int) -> tuple[int, ...]:
    return tuple(piece - first for piece in pieces if first <= piece < last)
