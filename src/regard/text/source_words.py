"""The words that a translator has read in training: what to make of a word in another spelling, and what is foreign.

A subword model can read any spelling, but it has learned only that of its data: of A DOG RUNS it sees letters. So a
word that training never or hardly saw is read as its most frequent spelling there, if it has one (truecasing, Lita et
al. 2003). Letters without their marks and typographic signs are other spellings, too: MAEDCHEN and Maedchen are read as
Mädchen. What is typed in capitals, or with a capital at the start of every word, is read so throughout. The first word
of a sentence has a capital whatever it is, so it counts as the spelling that it has elsewhere.

How foreign a text is follows from the frequencies of its words in training,

    s = (k s_0 + Σ_w −log p(w)) / (k + n),   p(w) = (count(w) + 0.1) / N,   k = 2

the mean surprise at its n words, which few words do not move far from the mean s_0 of the validation sources. A text is
unfamiliar when s is above what 99.5 % of the validation sources stay below.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeGuard

from regard.errors import ModelError
from regard.files import read_json_file, write_json_file
from regard.text.noise import ascii_letters
from regard.text.tokenizer import Encoded, Tokenizer
from regard.text.vocabulary import is_unicode
from regard.text.words import Normalised, normalise, split_words

if TYPE_CHECKING:
    from regard.annotations import Span

FILE = "source_words.json"
RARE = 20
"""A spelling is read as another that is more than so many times as frequent."""
QUANTILE = 0.995
"""The share of validation sources that are familiar."""
MOST_WORDS = 2**40
"""The greatest count of a word."""
_PRIOR_WORDS = 2
_UNSEEN = 0.1
_TYPOGRAPHIC = str.maketrans(
    {**dict.fromkeys("“”„‟«»", '"'), **dict.fromkeys("‘’‚‛′´`", "'"), **dict.fromkeys("‐‑‒–—―", "-"), "…": "..."}
)
_SENTENCE_ENDS = frozenset(".!?…")


class SourceWords:
    """The words of the training sources.

    Args:
        counts: how often each was read, in each spelling, none of them 0.
        usual: s_0, the mean surprise at a word of the validation sources.
        limit: the greatest surprise at a familiar text.
    """

    def __init__(self, counts: Mapping[str, int], *, usual: float, limit: float) -> None:
        self.counts, self.usual, self.limit = dict(counts), usual, limit

    @classmethod
    def learn(cls, sources: Iterable[str], validation: Sequence[str]) -> Self:
        """Count the words of training sources, and calibrate on validation sources, which are not counted."""
        inside: Counter[str] = Counter()
        first: Counter[str] = Counter()
        for text in sources:
            for word, begins in _words(_plain(text)):
                (first if begins else inside)[word] += 1
        spellings = _most_frequent(inside)
        for word, count in first.items():
            inside[spellings.get(_fold(word), word)] += count
        words = cls(inside, usual=0.0, limit=math.inf)
        surprises = [surprise for text in validation for surprise in words._surprises(text)]
        words.usual = math.fsum(surprises) / max(1, len(surprises))
        foreign = sorted(words.surprise(text) for text in validation)
        words.limit = foreign[int(QUANTILE * (len(foreign) - 1))] if foreign else math.inf
        return words

    def encode(self, tokenizer: Tokenizer, text: str) -> Encoded:
        """The ids of a text as a model should read it, with spans in the text as typed."""
        read = self.restored(text)
        encoded = tokenizer.encode(read.text)
        return Encoded(text, encoded.ids, tuple(read.span(*span) for span in encoded.spans))

    def restored(self, text: str) -> Normalised:
        """The text in the spelling of the training sources, and where each of its characters was typed."""
        typed = normalise(text)
        words = list(_words(typed.text))
        shouted = _in_capitals([word for word, _ in words])
        parts: list[str] = []
        origins: list[Span] = []
        last = 0
        for (start, end), (word, begins) in zip(split_words(typed.text), words, strict=True):
            spelled = self._spelled(word, shouted=shouted, begins=begins)
            parts += [typed.text[last:start], spelled]
            origins += [_origin(typed, place) for place in range(last, start)]
            origins += _origins(typed, start, end, count=len(spelled))
            last = end
        return Normalised("".join(parts), tuple(origins))

    def surprise(self, text: str) -> float:
        """s, how foreign a text is."""
        found = self._surprises(text)
        return (_PRIOR_WORDS * self.usual + math.fsum(found)) / (_PRIOR_WORDS + len(found))

    def unfamiliar(self, text: str) -> bool:
        """Whether a text is more foreign than nearly all validation sources."""
        return self.surprise(text) > self.limit

    def save(self, folder: Path) -> None:
        """Write the words into ``folder``, as one JSON file."""
        counts = dict(sorted(self.counts.items(), key=lambda item: (-item[1], item[0])))
        values = {"version": 1, "usual": self.usual, "limit": self.limit, "counts": counts}
        write_json_file(folder / FILE, values)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Read what :meth:`save` wrote; None where there is no file.

        Raises:
            ModelError: the file is damaged.
        """
        path = folder / FILE
        if not os.path.lexists(path):
            return None
        values = read_json_file(path, versions=[1])
        counts, usual, limit = values.get("counts"), values.get("usual"), values.get("limit")
        if not (_are_counts(counts) and _is_surprise(usual) and _is_surprise(limit)):
            raise ModelError(f"{path}: holds no counts of words")
        return cls(counts, usual=usual, limit=limit)

    def _surprises(self, text: str) -> list[float]:
        """−log p of every word that has a letter, whatever its spelling."""
        return [
            math.log(self._total / (self._folded.get(_fold(word), 0) + _UNSEEN))
            for word, _ in _words(_plain(text))
            if any(character.isalpha() for character in word)
        ]

    def _spelled(self, word: str, *, shouted: bool, begins: bool) -> str:
        """A word as training most often saw it; as typed where that was nearly as frequent, or nothing like it seen."""
        usual = self._usual.get(_fold(word))
        if usual is None:
            spelled = (word.capitalize() if self._capitals else word.lower()) if shouted else word
        else:
            spelled = usual if shouted or self._is_odd(word, usual) else word
        return spelled[:1].upper() + spelled[1:] if begins and word[:1].isupper() else spelled

    def _is_odd(self, word: str, usual: str) -> bool:
        """Whether a word in an ordinary text is to be read in its usual spelling."""
        if self._capitals and word == usual.capitalize():
            return False  # where nouns have capitals, any word can be a noun
        return self.counts[usual] > RARE * self.counts.get(word, 0)

    @cached_property
    def _total(self) -> int:
        return max(1, sum(self.counts.values()))

    @cached_property
    def _folded(self) -> dict[str, int]:
        """How often each word was read, whatever its spelling."""
        totals: Counter[str] = Counter()
        for word, count in self.counts.items():
            totals[_fold(word)] += count
        return dict(totals)

    @cached_property
    def _usual(self) -> dict[str, str]:
        """The most frequent spelling of each word."""
        return _most_frequent(self.counts)

    @cached_property
    def _capitals(self) -> bool:
        """Whether nouns of the language are written with a capital, as in German: more than a third of all words."""
        words = [word for word in self.counts if word[0].isalpha()]
        return sum(word[0].isupper() for word in words) * 3 > len(words)


def _are_counts(values: Any) -> TypeGuard[dict[str, int]]:
    if not isinstance(values, dict) or not is_unicode("".join(values)):
        return False
    return all(word and type(count) is int and 0 < count <= MOST_WORDS for word, count in values.items())


def _is_surprise(value: Any) -> TypeGuard[float]:
    return isinstance(value, float) and not math.isnan(value)


def _words(plain: str) -> Iterator[tuple[str, bool]]:
    """The words of a normalised text, and whether each begins a sentence."""
    begins = True
    for start, end in split_words(plain):
        word = plain[start:end]
        yield word, begins
        begins = word in _SENTENCE_ENDS or (begins and not word[0].isalnum())


def _most_frequent(counts: Mapping[str, int]) -> dict[str, str]:
    """For each word the spelling that has the greatest count."""
    ascending = sorted(counts, key=lambda word: (counts[word], word))
    return {_fold(word): word for word in ascending}


def _fold(word: str) -> str:
    """What all spellings of a word have in common."""
    return ascii_letters(word.translate(_TYPOGRAPHIC)).lower()


def _plain(text: str) -> str:
    return normalise(text).text


def _in_capitals(words: Sequence[str]) -> bool:
    """Whether a text is written in capitals, or with a capital at the start of each of its words, three at least."""
    alphabetic = [word for word in words if word[0].isalpha()]
    if len(alphabetic) > 1 and all(word.isupper() for word in alphabetic):
        return True
    return len(alphabetic) > 2 and all(word[0].isupper() for word in alphabetic)


def _origin(typed: Normalised, place: int) -> Span:
    """Where a character of a normalised text was typed."""
    return (place, place + 1) if typed.origins is None else typed.origins[place]


def _origins(typed: Normalised, start: int, end: int, *, count: int) -> Iterator[Span]:
    """Where ``count`` characters in place of those from ``start`` to ``end`` were typed: together, unless as many."""
    if count == end - start:
        return (_origin(typed, place) for place in range(start, end))
    return iter([(_origin(typed, start)[0], _origin(typed, end - 1)[1])] * count)
