"""Texts that are read together, cut into batches of like length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from regard.errors import TextError
from regard.pipeline.generation import Ids
from regard.pipeline.segments import MAX_PIECES, Source


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
        jobs: their parts, in order.
        parts: for each text the places of its parts among ``jobs``.
        owners: for each part the place of its text among ``sources``.
        batches: the places of parts of like length.
    """

    sources: Sequence[Source | TextError]
    jobs: Sequence[Job]
    parts: Sequence[range]
    owners: Sequence[int]
    batches: Sequence[Sequence[int]]


def cut_window(sources: Sequence[Source | TextError], prefix: Ids, number: int, batch: int) -> Window:
    """A window of texts that have been read.

    Args:
        sources: the texts; for one that could not be read, its error.
        prefix: the ids that the translation of each begins with.
        number: of the first of them in the whole row of texts.
        batch: how many parts are translated together.
    """
    jobs: list[Job] = []
    parts: list[range] = []
    for each, source in enumerate(sources, start=number):
        own = source.parts if isinstance(source, Source) else ()
        parts.append(range(len(jobs), len(jobs) + len(own)))
        # no text has more parts than pieces, so that all parts of all texts have numbers of their own
        jobs += [Job(part.ids, () if i else prefix, each * MAX_PIECES + i) for i, part in enumerate(own)]
    owners = [text for text, places in enumerate(parts) for _ in places]
    # long ones first: the last batches are then short, and workers come to the end of them at nearly the same time
    order = sorted(range(len(jobs)), key=lambda place: -len(jobs[place].ids))
    # a window of which nothing is to be said has one batch of nothing, so that it gets its turn
    batches = [order[first : first + batch] for first in range(0, max(1, len(order)), batch)]
    return Window(sources, jobs, parts, owners, batches)
