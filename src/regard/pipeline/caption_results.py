"""From what a search found for a picture to its caption: attention on the photo, concepts, evidence and confidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from regard.annotations import Annotations
from regard.errors import ImageError
from regard.pipeline.concepts import fold_concepts, named
from regard.pipeline.generation import Generation
from regard.pipeline.isolation import REPORT, Defect, describe
from regard.pipeline.pointing import points
from regard.pipeline.prefetch import PreparedImage
from regard.pipeline.region import Positions, scatter_weights
from regard.results import Caption, Word
from regard.text import merge_weights

if TYPE_CHECKING:
    from regard.evidence.calibration import Calibration


def answer(
    picture: PreparedImage | ImageError,
    generated: Iterator[Generation | Defect],
    alpha: float,
    calibration: Calibration | None,
) -> Caption | ImageError:
    """The caption of a picture from the next of what was generated, or the error in its place."""
    if isinstance(picture, ImageError):
        return picture
    generation = next(generated)
    if isinstance(generation, Defect):
        return ImageError(picture.path, generation.reason, remedy=generation.remedy)
    try:
        return caption_of(picture, generation, alpha, calibration)
    except Exception as error:
        return ImageError(picture.path, describe(error), remedy=REPORT)


def on_photo(
    generations: Sequence[Generation],
    annotations: Annotations,
    allowed: Sequence[Positions] | None,
    calibration: Calibration | None,
) -> list[Generation]:
    """The generations of a batch with what its photos tell of them: concepts, and how novel they are.

    Args:
        generations: one a photo; their weights are over the allowed positions.
        annotations: of the whole photos.
        allowed: the positions of each that attention was held to, over all of which weights are spread again; None for
            all. Concepts speak for the whole photo, so a part of it does without.
        calibration: asks for novelty; None where nobody does.
    """
    if allowed is None:
        found = named(generations, annotations.concepts)
    else:
        positions, pairs = annotations.num_regions, zip(generations, allowed, strict=True)
        found = [replace(each, weights=scatter_weights(each.weights, own, positions=positions)) for each, own in pairs]
    if calibration is None:
        return found
    from regard.pipeline.confidence import with_novelty

    return with_novelty(found, annotations, calibration)


def _confidence(generation: Generation, calibration: Calibration | None) -> tuple[list[float | None], float | None]:
    """The evidence for each word and the confidence in the caption; None without a calibration."""
    if calibration is None:
        return [None] * len(generation.words), None
    from regard.pipeline.confidence import caption_confidence, word_evidence

    evidence = word_evidence(generation, calibration)
    return evidence, caption_confidence(generation, evidence, calibration)


def caption_of(
    picture: PreparedImage, generation: Generation, alpha: float, calibration: Calibration | None
) -> Caption:
    """The caption of a picture from what was generated for it.

    Args:
        picture, generation: of one picture, its weights over the whole grid.
        alpha: the length normalisation of its scores.
        calibration: of the model, if it has one.
    """
    evidence, confidence = _confidence(generation, calibration)
    attended = fold_concepts(merge_weights(generation.weights, generation.words), generation.concepts)
    grid = (picture.regions.rows, picture.regions.columns)
    pointed = points(generation, [each.weights for each in attended], picture.regions)
    words = zip(generation.words, generation.probabilities, attended, evidence, pointed, strict=True)
    return Caption(
        path=picture.path,
        text=generation.best.text,
        score=generation.best.score(alpha),
        words=tuple(
            Word(word.text, probability, each.weights.reshape(grid), each.concept, own, point)
            for word, probability, each, own, point in words
        ),
        alternatives=generation.alternatives(alpha),
        finished=generation.finished,
        confidence=confidence,
        photo=picture.photo,
        regions=picture.regions,
    )
