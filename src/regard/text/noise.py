"""How people type: changes of a source that leave its meaning as it is.

The sentences of a data set are written with care; what a user types is in capitals, has the quotation marks of a word
processor, digits, no full stop, ä as ae. A translator learns from sources of which a share is changed in these ways,
and is measured on sources that are all changed in one of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from pydantic import Field

from regard.config import Settings

_NUMBERS = {
    "en": "two three four five six seven eight nine ten eleven twelve",
    "de": "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
    "fr": "deux trois quatre cinq six sept huit neuf dix onze douze",
}
_DIGITS = {word: str(number) for words in _NUMBERS.values() for number, word in enumerate(words.split(), start=2)}
# before these counters Korean writes its own number words; a digit stands in front of the counter without a space
_KOREAN_NUMBERS = ["두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열"]
_KOREAN = {word: str(number) for number, word in enumerate(_KOREAN_NUMBERS, start=2)}
_KOREAN_COUNT = re.compile(rf"(?<!\w)({'|'.join(_KOREAN)}) (?=명|사람|마리|대|개|살)")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_GERMAN = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "œ": "oe", "Œ": "Oe"}
_OPENING_QUOTE, _HYPHEN = re.compile(r'(?<!\S)"(?=\S)'), re.compile(r"(?<=\s)--?(?=\s)")
_STOP = re.compile(r"\s*[.!]+\s*$")


def capitals(text: str) -> str:
    """A DOG RUNS."""
    return text.upper()


def title(text: str) -> str:
    """A Dog Runs: a capital at the start of each word, everything else as it is."""
    return _WORD.sub(lambda found: found[0][0].upper() + found[0][1:], text)


def lower(text: str) -> str:
    """a dog runs."""
    return text.lower()


def typographic(text: str) -> str:
    """The quotation marks, apostrophes, dashes and dots that a word processor puts in."""
    text = _OPENING_QUOTE.sub("“", text).replace('"', "”").replace("'", "’")
    return _HYPHEN.sub("–", text).replace("...", "…")


def digits(text: str) -> str:
    """2 dogs run: small numbers in digits."""
    text = _WORD.sub(lambda found: _DIGITS.get(found[0].lower(), found[0]), text)
    return _KOREAN_COUNT.sub(lambda found: _KOREAN[found[1]], text)


def no_stop(text: str) -> str:
    """No full stop at the end."""
    return _STOP.sub("", text) or text


def ascii_letters(text: str) -> str:
    """Maedchen, Strasse, garcon: letters of the Latin alphabet without what an English keyboard lacks."""
    text = "".join(_GERMAN.get(letter, letter) for letter in text)
    return "".join(_without_marks(letter) for letter in text)


def _without_marks(letter: str) -> str:
    plain = unicodedata.normalize("NFD", letter)[0]
    return plain if plain.isascii() else letter


NOISE: dict[str, Callable[[str], str]] = {
    "typographic": typographic,
    "digits": digits,
    "ascii": ascii_letters,
    "no_stop": no_stop,
    "title": title,
    "lower": lower,
    "capitals": capitals,
}
"""The changes of one text by name, in the order in which they are made."""


class NoiseSettings(Settings):
    """The share of the training sources that is changed in each way; their translations stay as they are.

    Every change is drawn by itself, so that a sentence may be changed in several ways.
    """

    typographic: float = Field(0.0, ge=0, le=1)
    digits: float = Field(0.0, ge=0, le=1)
    ascii: float = Field(0.0, ge=0, le=1)
    no_stop: float = Field(0.0, ge=0, le=1)
    title: float = Field(0.0, ge=0, le=1)
    lower: float = Field(0.0, ge=0, le=1)
    capitals: float = Field(0.0, ge=0, le=1)
    joined: float = Field(0.0, ge=0, le=1)
    """Followed by another pair of the data, source and translation: several sentences at once."""

    @property
    def shares(self) -> dict[str, float]:
        """Of the changes of one text, by name, in the order in which they are made."""
        return {name: float(getattr(self, name)) for name in NOISE}
