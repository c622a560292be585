"""The vocabulary: entry i is the token with id i, and four special tokens come first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from regard.errors import ModelError

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
FORBIDDEN = (PAD, BOS, UNK)
"""Ids that are never generated, whatever a model scores them."""
_SURROGATE = re.compile("[\ud800-\udfff]")


class Vocabulary:
    """An ordered list of tokens.

    Args:
        words: the ordinary tokens, without the specials, each once.

    The specials are ids, not words: a word that a user happens to spell like one of them is unknown.
    """

    PAD: ClassVar[int] = PAD
    BOS: ClassVar[int] = BOS
    EOS: ClassVar[int] = EOS
    UNK: ClassVar[int] = UNK

    def __init__(self, words: Sequence[str]) -> None:
        self.entries: tuple[str, ...] = (*SPECIALS, *words)
        self._ids = {word: index for index, word in enumerate(words, start=len(SPECIALS))}
        assert len(self._ids) == len(words), "every word stands once in a vocabulary"
        assert not any(special in self._ids for special in SPECIALS), "the specials are added by the vocabulary"

    @classmethod
    def build(cls, counts: Mapping[str, int], *, minimum_count: int = 1, maximum_size: int | None = None) -> Vocabulary:
        """The words seen at least ``minimum_count`` times, the most frequent first, equals in alphabetical order.

        Args:
            counts: how often each word was seen; their order does not matter.
            minimum_count: rarer words become ``<unk>``.
            maximum_size: the greatest size, specials included; None for no limit.
        """
        kept = [word for word, count in counts.items() if count >= minimum_count and word not in SPECIALS]
        ordered = sorted(kept, key=lambda word: (-counts[word], word))
        if maximum_size is not None:
            ordered = ordered[: max(0, maximum_size - len(SPECIALS))]
        return cls(ordered)

    @property
    def forbidden(self) -> tuple[int, ...]:
        """Ids that are never generated."""
        return FORBIDDEN

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.entries == other.entries

    def __hash__(self) -> int:
        return hash(self.entries)

    def id(self, word: str) -> int:
        """The id of ``word``, or UNK."""
        return self._ids.get(word, UNK)

    def find(self, entry: str) -> int | None:
        """The id of a word or, by its name in :attr:`entries`, of a special; None where there is none."""
        return SPECIALS.index(entry) if entry in SPECIALS else self._ids.get(entry)

    def word(self, token: int) -> str:
        """The entry with id ``token``."""
        return self.entries[token]

    def to_json(self) -> dict[str, Any]:
        """Plain data: the ordinary words, in order."""
        return {"specials": list(SPECIALS), "words": list(self.entries[len(SPECIALS) :])}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, origin: str) -> Vocabulary:
        """The inverse of :meth:`to_json`.

        Raises:
            ModelError: ``values`` hold something else than a list of different words after the specials known here.
        """
        words = values.get("words")
        if values.get("specials") != list(SPECIALS):
            raise ModelError(f"{origin}: has other special tokens", allowed=", ".join(SPECIALS))
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ModelError(f"{origin}: holds no list of words under 'words'")
        if any(not word or not is_unicode(word) for word in words):
            raise ModelError(f"{origin}: a word in the list is empty or no Unicode text")
        if len({*words, *SPECIALS}) != len(words) + len(SPECIALS):
            raise ModelError(f"{origin}: a word stands twice in the list")
        return cls(words)


def is_unicode(text: str) -> bool:
    """Whether a text holds no half of a surrogate pair, which JSON can spell and no file can hold."""
    return not _SURROGATE.search(text)


def count_words(sentences: Iterable[Iterable[str]]) -> dict[str, int]:
    """How often each word occurs in ``sentences``, each given word by word."""
    counts: dict[str, int] = {}
    for sentence in sentences:
        for word in sentence:
            counts[word] = counts.get(word, 0) + 1
    return counts
