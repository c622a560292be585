"""Segments of texts that are read together, bucketed by length into batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from regard.errors import TextError
from regard.pipeline.generation import Ids
from regard.pipeline.segments import MAX_PIECES, Source


class Pause:
    """Stands among texts where the next one is still to come: those before it are answered first."""


PAUSE = Pause()


class SegmentJob(NamedTuple):
    """One segment of one text: the ids of its pieces, those that its translation begins with, and its number."""

    ids: Ids
    prefix: Ids
    number: int


@dataclass(frozen=True)
class LengthBuckets:
    """Texts that are read together, their segments in batches of like length.

    Attributes:
        sources: the texts, in order.
        jobs: their segments, in order.
        segments: for each text the indices of its segments among ``jobs``.
        text_indices: for each segment the index of its text among ``sources``.
        batches: the indices of segments of like length.
    """

    sources: Sequence[Source | TextError]
    jobs: Sequence[SegmentJob]
    segments: Sequence[range]
    text_indices: Sequence[int]
    batches: Sequence[Sequence[int]]


def segment_jobs(source: Source, prefix: Ids, number: int) -> list[SegmentJob]:
    """The segments of one text, in order.

    Args:
        source: the text.
        prefix: the ids that its translation begins with.
        number: of the text in the whole row of texts.
    """
    # no text has more segments than pieces, so that all segments of all texts have numbers of their own
    first = number * MAX_PIECES
    return [SegmentJob(each.ids, () if i else prefix, first + i) for i, each in enumerate(source.segments)]


def bucket_by_length(sources: Sequence[Source | TextError], prefix: Ids, number: int, batch: int) -> LengthBuckets:
    """Batches of like length from texts that have been read.

    Args:
        sources: the texts; for one that could not be read, its error.
        prefix: the ids that the translation of each begins with.
        number: of the first of them in the whole row of texts.
        batch: how many segments are translated together.
    """
    jobs: list[SegmentJob] = []
    segments: list[range] = []
    for each, source in enumerate(sources, start=number):
        own = segment_jobs(source, prefix, each) if isinstance(source, Source) else []
        segments.append(range(len(jobs), len(jobs) + len(own)))
        jobs += own
    text_indices = [text for text, indices in enumerate(segments) for _ in indices]
    # long ones first: the last batches are then short, and workers come to the end of them at nearly the same time
    order = sorted(range(len(jobs)), key=lambda index: -len(jobs[index].ids))
    # texts without any segment give one empty batch, so that their turn comes
    batches = [order[first : first + batch] for first in range(0, max(1, len(order)), batch)]
    return LengthBuckets(sources, jobs, segments, text_indices, batches)
