"""Alternatives for the next word: results that share a prefix and differ in the word after it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Protocol, TypeVar


class _Word(Protocol):
    @property
    def text(self) -> str: ...

    @property
    def probability(self) -> float: ...


class _Written(Protocol):
    @property
    def words(self) -> Sequence[_Word]: ...


Result = TypeVar("Result", bound=_Written)


def distinct_next_words(
    results: Iterable[Result], beginning: Sequence[str], *, count: int, unlike: str | None = None
) -> tuple[Result, ...]:
    """The results that begin as asked, each with another next word, the most probable word first.

    Args:
        results: among them may be some that begin otherwise, as subwords join, or go on with the same word.
        beginning: the words that all of them share.
        count: how many are wanted at most.
        unlike: a next word that is not wanted.
    """
    at = len(beginning)
    going_on = [each for each in results if [word.text for word in each.words[:at]] == list(beginning)]
    going_on = [each for each in going_on if len(each.words) > at and each.words[at].text != unlike]
    going_on.sort(key=lambda each: -each.words[at].probability)
    first: dict[str, Result] = {}
    for each in going_on:
        first.setdefault(each.words[at].text, each)
    return tuple(islice(first.values(), count))
