"""The parts of a text, each spoken by itself, become its translation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from regard.pipeline.generation import Said, Speech
from regard.pipeline.segments import Source
from regard.results import Alternative, SourceWord, TargetWord, Translation
from regard.text import merge_weights


def joined(source: Source, speeches: Sequence[Speech], *, alpha: float, attends: bool) -> Translation:
    """The translations of the parts of a text as one; its parts are aligned with nothing but themselves.

    Args:
        source: the text.
        speeches: one for each of its parts.
        alpha: the length normalisation of scores.
        attends: whether the model has attention.
    """
    best = _join([speech.best for speech in speeches])
    # the n-th alternative of the whole is made of the n-th of each part, or of its best where it has fewer
    others = zip_longest(*(speech.others for speech in speeches))
    rows = [_join([said or speech.best for said, speech in zip(row, speeches, strict=True)]) for row in others]
    words = [pair for speech in speeches for pair in zip(speech.words, speech.probabilities, strict=True)]
    return Translation(
        source=source.text,
        text=best.text,
        score=best.score(alpha),
        source_words=tuple(SourceWord(word.text, word.span) for word in source.words),
        words=tuple(TargetWord(word.text, probability) for word, probability in words),
        alignment=_alignment(source, speeches),
        alternatives=tuple(Alternative(said.text, said.score(alpha)) for said in rows),
        finished=all(speech.finished for speech in speeches),
        attends=attends,
        unfamiliar=source.unfamiliar,
    )


def _join(said: Sequence[Said]) -> Said:
    return Said(
        text=" ".join(each.text for each in said if each.text),
        log_probability=sum(each.log_probability for each in said),
        length=sum(each.length for each in said),
    )


def _alignment(source: Source, speeches: Sequence[Speech]) -> npt.NDArray[np.float64]:
    """[target words, source words], one block for each part. Where nothing is written, no memory is touched."""
    alignment = np.zeros((sum(len(speech.words) for speech in speeches), len(source.words)))
    row = 0
    for part, speech in zip(source.parts, speeches, strict=True):
        block = merge_weights(speech.weights, speech.words, part.words)
        alignment[row : row + len(block), part.first_word : part.first_word + len(part.words)] = block
        row += len(block)
    return alignment
