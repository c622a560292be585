"""Texts that are read together, cut into batches of like length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from regard.errors import TextError
from regard.pipeline.parts import MAX_PIECES, Source
from regard.pipeline.speech import Ids


class Job(NamedTuple):
    """One part of one text: the ids of its pieces, those that its translation begins with, and its number."""

    ids: Ids
    prefix: Ids
    number: int


@dataclass(frozen=True)
class Window:
    """Texts that are read together.

    Attributes:
        sources: the texts, in order.
        jobs: their parts.
        batches: the places of parts of like length among ``jobs``.
    """

    sources: Sequence[Source | TextError]
    jobs: Sequence[Job]
    batches: Sequence[Sequence[int]]


def cut_window(sources: Sequence[Source | TextError], prefix: Ids, number: int, batch: int) -> Window:
    """A window of texts that have been read.

    Args:
        sources: the texts; for one that could not be read, its error.
        prefix: the ids that the translation of each begins with.
        number: of the first of them in the whole row of texts.
        batch: how many parts are translated together.
    """
    # no text has more parts than pieces, so that all parts of all texts have numbers of their own
    jobs = [
        Job(part.ids, () if i else prefix, each * MAX_PIECES + i)
        for each, source in enumerate(sources, start=number)
        for i, part in enumerate(source.parts if isinstance(source, Source) else ())
    ]
    # long ones first: the last batches are then short, and workers come to the end of them at nearly the same time
    order = sorted(range(len(jobs)), key=lambda place: -len(jobs[place].ids))
    # a window of which nothing is to be said has one batch of nothing, so that it gets its turn
    return Window(sources, jobs, [order[first : first + batch] for first in range(0, max(1, len(order)), batch)])
