"""Words, in a sentence as a user typed it and in the text that a model reads.

:func:`normalise` says which differences between texts a model never sees, and keeps the way back to the text as typed.
:func:`split_words` says what a person would point at as one word. What captions are made of when they are learned and
scored is another question, which :mod:`regard.text.captions` answers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from regard.errors import TextError

if TYPE_CHECKING:
    from regard.annotations import Span

_ALONE = r"\p{Han}\p{Hiragana}\p{Katakana}"
_LETTER = rf"[\p{{L}}\p{{M}}\p{{N}}&&[^{_ALONE}]]"
# Letters with their marks and digits, joined by a hyphen, an apostrophe or, between digits, by . , or :
# A letter of a script written without spaces stands alone, and so does every other character that is seen as one (\X).
WORD_PATTERN = rf"[{_ALONE}]|{_LETTER}+(?:(?:[-'’]|(?<=\p{{N}})[.,:](?=\p{{N}})){_LETTER}+)*|\X"
_SPLIT = Split(Regex(rf"\s+|{WORD_PATTERN}"), behavior="isolated")


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
    """``text`` in NFC with single spaces, and where each character came from.

    White space is what :meth:`str.split` takes for it. Case, punctuation, control and invisible characters are kept.

    Raises:
        TextError: ``text`` holds half a surrogate pair, which no file can hold.
    """
    require_unicode(text)
    plain = " ".join(unicodedata.normalize("NFC", text).split())
    if plain == text:
        return Normalised(text)
    characters = list(_single_spaces(_composed(text)))
    assert "".join(character for character, _ in characters) == plain, "both ways of normalising agree"
    return Normalised(plain, tuple(span for _, span in characters))


def _composed(text: str) -> Iterator[tuple[str, Span]]:
    """NFC, one character at a time, each with the span of the characters that it was composed from."""
    start = 0
    while start < len(text):
        end = start + 1
        while end < len(text) and _interact(text[start:end], text[end]):
            end += 1
        for character in unicodedata.normalize("NFC", text[start:end]):
            yield character, (start, end)
        start = end


def _interact(cluster: str, character: str) -> bool:
    if cluster.isascii() and character.isascii():
        return False
    if unicodedata.combining(character):
        return True
    apart = unicodedata.normalize("NFC", cluster) + unicodedata.normalize("NFC", character)
    return unicodedata.normalize("NFC", cluster + character) != apart


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


def split_words(text: str) -> list[Span]:
    """Spans of what a person would point at as one word, in order, without white space.

    ``don't``, ``T-Shirt`` and ``10,000`` are one word each; every punctuation mark and every emoji is a word of its
    own, and so is every letter of a script that is written without spaces between words.
    """
    return [span for piece, span in _SPLIT.pre_tokenize_str(text) if not piece.isspace()]
