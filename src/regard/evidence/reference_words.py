"""Whether a word of a caption is in what people wrote of the photo, in any form of the word.

Two words are forms of one another if they have the same stem, or if their stems stand in one line of ``synonyms.txt``.
:func:`stem` knows the irregular forms of frequent words and otherwise takes off the endings of plural, progressive and
past, and a last e: riding, rides and ride become rid. It is less than Porter 1980, whose other steps unite words that
are not forms of each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources

from regard.text.captions import caption_tokens

_IRREGULAR = {
    form: word
    for word, forms in {
        "man": "men",
        "woman": "women",
        "child": "children",
        "person": "people persons",
        "foot": "feet",
        "tooth": "teeth",
        "mouse": "mice",
        "goose": "geese",
        "sheep": "sheep",
        "knife": "knives",
        "leaf": "leaves",
        "shelf": "shelves",
        "wolf": "wolves",
        "calf": "calves",
        "run": "ran",
        "sit": "sat",
        "stand": "stood",
        "ride": "rode ridden",
        "eat": "ate eaten",
        "hold": "held",
        "wear": "wore worn",
        "throw": "threw thrown",
        "catch": "caught",
        "swim": "swam swum",
        "fly": "flew flown",
        "drive": "drove driven",
        "lie": "lying lay lain",
        "take": "took taken",
        "lead": "led",
        "hit": "hitting",
        "swing": "swung",
        "hang": "hung",
        "blow": "blew blown",
        "fall": "fell fallen",
        "leap": "leapt",
        "build": "built",
        "dig": "dug",
        "drink": "drank drunk",
        "sleep": "slept",
        "make": "made",
        "write": "wrote written",
        "bus": "buses",
        "glass": "glasses",
    }.items()
    for form in forms.split()
}


def is_content_word(word: str) -> bool:
    """Whether a word says something of the photo: no article, preposition, pronoun or auxiliary, and of letters."""
    return word not in _function_words() and any(letter.isalpha() for letter in word)


@cache
def stem(word: str) -> str:
    """What the forms of a lower-case English word have in common."""
    word = _IRREGULAR.get(word, word)
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "shes", "ches", "xes", "zzes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    for ending in ("ing", "ed"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) > 2 and any(vowel in rest for vowel in "aeiouy"):
            doubled = rest[-1] == rest[-2] and rest[-1] not in "lsz"
            word = rest[:-1] if doubled else rest
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


@cache
def _function_words() -> frozenset[str]:
    text = resources.files("regard.evidence").joinpath("function_words.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


@cache
def _synonyms() -> dict[str, frozenset[int]]:
    """For each stem of ``synonyms.txt`` the numbers of its lines."""
    text = resources.files("regard.evidence").joinpath("synonyms.txt").read_text(encoding="utf-8")
    found: dict[str, set[int]] = {}
    for number, line in enumerate(text.splitlines()):
        for word in line.split():
            found.setdefault(stem(word), set()).add(number)
    return {word: frozenset(lines) for word, lines in found.items()}


def same_word(one: str, other: str) -> bool:
    """Whether two lower-case words are forms of one another."""
    first, second = stem(one), stem(other)
    return first == second or not _synonyms().get(first, frozenset()).isdisjoint(_synonyms().get(second, frozenset()))


class ReferenceWords:
    """What people wrote of one photo.

    Args:
        captions: theirs.
    """

    def __init__(self, captions: Iterable[str]) -> None:
        self._stems = {stem(word) for caption in captions for word in caption_tokens(caption)}
        self._lines = frozenset(line for each in self._stems for line in _synonyms().get(each, ()))

    def __contains__(self, word: str) -> bool:
        found = stem(word)
        return found in self._stems or not self._lines.isdisjoint(_synonyms().get(found, ()))
