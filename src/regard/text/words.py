"""Words, in a sentence as a user typed it and in the text that a model reads.

:func:`normalise` says which differences between texts a model never sees, and keeps the way back to the text as typed.
:func:`split_words` says what a person would point at as one word. What captions are made of when they are learned and
scored is another question, which :mod:`regard.text.captions` answers.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from regard.errors import TextError

if TYPE_CHECKING:
    from regard.annotations import Span

_ALONE = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_LETTER = rf"[\p{{L}}\p{{M}}\p{{N}}&&[^{_ALONE}]]"
# A flag with what extends it, as \X matches it: \X itself looks back over all flags before, in time that grows with the
# square of their number.
_FLAG = "[\U0001f1e6-\U0001f1ff]{1,2}[\\p{M}\\p{Grapheme_Extend}\u200d\U0001f3fb-\U0001f3ff]*"
# Letters with their marks and digits, joined by a hyphen, an apostrophe or, between digits, by . , or :
# A letter of a script written without spaces stands alone, with its marks, and so does every other character that is
# seen as one (\X). Joiners and non-joiners, as Hindi and Persian have them, lie within words.
WORD_PATTERN = (
    rf"(?=[{_ALONE}])\X|{_LETTER}+(?:(?:[-'’\u200c\u200d]|(?<=\p{{N}})[.,:](?=\p{{N}})){_LETTER}+)*|{_FLAG}|\X"
)
_SPLIT = Split(Regex(rf"\s+|{WORD_PATTERN}"), behavior="isolated")
_MANY_MARKS = 32
"""More characters than that in one cluster are put in order before they are composed."""

_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af]"
)


@dataclass(frozen=True)
class Normalised:
    """A text as a model reads it, with the way back.

    Attributes:
        text: the text in Unicode form NFC, every run of white space as one space, none at the ends.
        origins: for each character of ``text`` its span in the text as typed; None when the two are equal.
    """

    text: str
    origins: tuple[Span, ...] | None = None

    def span(self, start: int, end: int) -> Span:
        """The span as typed of the characters ``start`` to ``end`` of ``text``, without white space at its ends."""
        while start < end and self.text[start] == " ":
            start += 1
        while start < end and self.text[end - 1] == " ":
            end -= 1
        if self.origins is None:
            return start, end
        if start == end:
            place = self.origins[start][0] if start < len(self.origins) else self._end
            return place, place
        return self.origins[start][0], self.origins[end - 1][1]

    @property
    def _end(self) -> int:
        return self.origins[-1][1] if self.origins else 0


def require_unicode(text: str) -> None:
    """Refuse what is a Python string but no Unicode text.

    Raises:
        TextError: ``text`` holds half a surrogate pair, which no file can hold.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TextError(
            f"the text holds half a surrogate pair at character {error.start + 1}", allowed="Unicode text"
        ) from None


def normalise(text: str) -> Normalised:
    """``text`` in NFC with single spaces, and where each character came from; in time linear in its length.

    White space is what :meth:`str.split` takes for it. Case, punctuation, control and invisible characters are kept.

    Raises:
        TextError: ``text`` holds half a surrogate pair, which no file can hold.
    """
    require_unicode(text)
    if unicodedata.is_normalized("NFC", text) and text == " ".join(text.split()):
        return Normalised(text)
    characters = list(_single_spaces(_composed(text)))
    return Normalised("".join(each for each, _ in characters), tuple(span for _, span in characters))


def _composed(text: str) -> Iterator[tuple[str, Span]]:
    """NFC, one character at a time, each with the span of the characters that it was composed from."""
    for start, end in _clusters(text):
        for character in unicodedata.normalize("NFC", _in_order(text[start:end])):
            yield character, (start, end)


def _clusters(text: str) -> Iterator[Span]:
    """Spans of ``text``, in order, that NFC never composes across (UAX 15, "Stable Code Points").

    A cluster ends before a character whose decomposition begins with a starter (combining class 0), unless that starter
    may compose with what stands before it, as vowels and final consonants of Hangul do.
    """
    start = 0
    last = ""  # the starter that a next one may compose with; empty behind a mark, where that is left open
    for place, character in enumerate(text):
        first = unicodedata.normalize("NFD", character)[0]
        if unicodedata.combining(first):
            last = ""
            continue
        composed = unicodedata.normalize("NFC", last + character)
        if not (first in _second_starters() and (not last or len(composed) == 1)):
            if place > start:
                yield start, place
            start = place
            last = composed[-1]
        elif last:
            last = composed
    if text:
        yield start, len(text)


@cache
def _second_starters() -> frozenset[str]:
    """The characters of combining class 0 that compose with one before them: vowels and finals of Hangul (The Unicode
    Standard, §3.12), and second parts of canonical decompositions."""
    hangul = {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    parts = (unicodedata.decomposition(chr(code)).split() for code in range(sys.maxunicode + 1))
    seconds = {chr(int(part[1], 16)) for part in parts if len(part) == 2 and not part[0].startswith("<")}
    return frozenset(hangul | {each for each in seconds if not unicodedata.combining(each)})


def _in_order(cluster: str) -> str:
    """The cluster, its marks in the canonical order where they are many.

    Python moves each mark past those before it, one after another, which takes time that grows with the square of
    their number.
    """
    if len(cluster) <= _MANY_MARKS:
        return cluster
    decomposed = "".join(unicodedata.normalize("NFD", character) for character in cluster)
    runs = groupby(decomposed, key=lambda character: unicodedata.combining(character) > 0)
    return "".join("".join(sorted(run, key=unicodedata.combining) if marks else run) for marks, run in runs)


def _single_spaces(characters: Iterator[tuple[str, Span]]) -> Iterator[tuple[str, Span]]:
    gap: Span | None = None
    begun = False
    for character, span in characters:
        if character.isspace():
            gap = (span[0] if gap is None else gap[0], span[1])
            continue
        if gap is not None and begun:
            yield " ", gap
        gap, begun = None, True
        yield character, span


def written_without_spaces(character: str) -> bool:
    """Whether a letter is of a script without spaces between words, such as Chinese, Japanese, Thai and Khmer."""
    return _WITHOUT_SPACES.match(character) is not None


def split_words(text: str) -> list[Span]:
    """Spans of what a person would point at as one word, in order, without white space.

    ``don't``, ``T-Shirt`` and ``10,000`` are one word each; every punctuation mark and every emoji is a word of its
    own, and so is every letter of a script that is written without spaces between words.
    """
    return [span for piece, span in _SPLIT.pre_tokenize_str(text) if not piece.isspace()]
