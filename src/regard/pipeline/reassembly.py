"""The segments of a text, each translated by itself, become its translation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from regard.errors import TextError
from regard.pipeline.generation import Generation, ScoredText
from regard.pipeline.isolation import Defect
from regard.pipeline.length_buckets import LengthBuckets
from regard.pipeline.segments import Source
from regard.results import Alternative, SourceWord, TargetWord, Translation
from regard.text import merge_weights


def reassemble(source: Source, generations: Sequence[Generation], *, alpha: float, attends: bool) -> Translation:
    """The translations of the segments of a text as one; each segment is aligned with its own translation alone.

    Args:
        source: the text.
        generations: one for each of its segments, or for the first of them.
        alpha: the length normalisation of scores.
        attends: whether the model has attention.
    """
    best = _join([generation.best for generation in generations])
    # the n-th alternative of the whole is made of the n-th of each segment, or of its best where it has fewer
    others = zip_longest(*(generation.others for generation in generations))
    alternatives = [
        _join([other or generation.best for other, generation in zip(row, generations, strict=True)]) for row in others
    ]
    words = [
        pair for generation in generations for pair in zip(generation.words, generation.probabilities, strict=True)
    ]
    return Translation(
        source=source.text,
        text=best.text,
        score=best.score(alpha),
        source_words=tuple(SourceWord(word.text, word.span) for word in source.words),
        words=tuple(TargetWord(word.text, probability) for word, probability in words),
        alignment=_alignment(source, generations),
        alternatives=tuple(Alternative(each.text, each.score(alpha)) for each in alternatives),
        finished=all(generation.finished for generation in generations),
        attends=attends,
        unfamiliar=source.unfamiliar,
    )


def _join(texts: Sequence[ScoredText]) -> ScoredText:
    return ScoredText(
        text=" ".join(each.text for each in texts if each.text),
        log_probability=sum(each.log_probability for each in texts),
        length=sum(each.length for each in texts),
    )


def _alignment(source: Source, generations: Sequence[Generation]) -> npt.NDArray[np.float64]:
    """[target words, source words], one block for each segment. Where nothing is written, no memory is touched."""
    alignment = np.zeros((sum(len(generation.words) for generation in generations), len(source.words)))
    row = 0
    for segment, generation in zip(source.segments, generations, strict=False):
        block = merge_weights(generation.weights, generation.words, segment.words)
        alignment[row : row + len(block), segment.first_word : segment.first_word + len(segment.words)] = block
        row += len(block)
    return alignment


Reassemble = Callable[[Source, Sequence[Generation]], Translation]


def translations(
    buckets: LengthBuckets, generated: Iterable[Sequence[Generation | Defect]], whole: Reassemble
) -> Iterator[Translation | TextError]:
    """The translations of the texts of some buckets in order, from what is generated batch by batch.

    Args:
        buckets: the texts and the batches of their segments.
        generated: for each batch, what was generated for its segments.
        whole: makes the translation of a text from what was generated for all of its segments.
    """
    done: dict[int, Generation | Defect] = {}
    found: dict[int, Translation | TextError] = {}
    for indices, generations in zip(buckets.batches, generated, strict=True):
        done.update(zip(indices, generations, strict=True))
        # a text whose segments are all there is reassembled at once, while workers go on
        for text in {buckets.text_indices[index] for index in indices}:
            source, segments = buckets.sources[text], buckets.segments[text]
            assert isinstance(source, Source), "only what could be read has segments"
            if all(segment in done for segment in segments):
                found[text] = _answer(source, [done[segment] for segment in segments], whole)
    for text, source in enumerate(buckets.sources):
        if isinstance(source, TextError):
            yield source
        else:
            yield found[text] if buckets.segments[text] else _answer(source, [], whole)


def _answer(source: Source, generations: Sequence[Generation | Defect], whole: Reassemble) -> Translation | TextError:
    """The translation of a text from what was generated for its segments, or the error in its place."""
    defects = [each for each in generations if isinstance(each, Defect)]
    if not defects:
        try:
            return whole(source, [each for each in generations if isinstance(each, Generation)])
        except Exception as error:
            defects = [Defect.of(error)]
    return TextError(f"the text {defects[0].reason}", remedy=defects[0].remedy)
