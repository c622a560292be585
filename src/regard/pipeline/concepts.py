"""Attention on concepts, as a result shows it: weights on the photo, and the name of the concept that a word came from.

    α'_i = α_i + Σ_j α_{N+j} μ_j(i)        weights on the photo, which sum to 1 as α does

A word came from concepts where Σ_j α_{N+j} is above :data:`USED`; it is named after the one with the greatest weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from regard.annotations import Concepts
from regard.encoders.concepts import concept_words
from regard.pipeline.generation import Generation, NamedConcepts

USED = 0.5
"""The share of attention above which a word came from concepts."""


@dataclass(frozen=True)
class WordAttention:
    """Attention of a word on the photo.

    Attributes:
        weights: [region], summing to 1.
        concept: the concept that it came from, None where it came from the regions.
    """

    weights: npt.NDArray[np.float64]
    concept: str | None


def named(generations: Sequence[Generation], concepts: Concepts | None) -> list[Generation]:
    """The generations of a batch with the concepts of its pictures, where it has some."""
    if concepts is None:
        return list(generations)
    words = concept_words()
    names = [tuple(words[number].text for number in row) for row in concepts.words.tolist()]
    probabilities, maps = concepts.probabilities.tolist(), concepts.maps.float().cpu().numpy()
    found = [NamedConcepts(*each) for each in zip(names, map(tuple, probabilities), maps, strict=True)]
    return [replace(generation, concepts=each) for generation, each in zip(generations, found, strict=True)]


def fold_concepts(weights: npt.NDArray[np.float64], concepts: NamedConcepts | None) -> list[WordAttention]:
    """Weights [word, position] as weights on the photo; without concepts the positions are the regions."""
    if concepts is None:
        return [WordAttention(row, None) for row in weights]
    regions = concepts.maps.shape[1]
    on_concepts = weights[:, regions:]
    on_photo = weights[:, :regions] + on_concepts @ concepts.maps
    names = [_concept(row, concepts.names) for row in on_concepts]
    return [WordAttention(*each) for each in zip(on_photo, names, strict=True)]


def _concept(weights: npt.NDArray[np.float64], names: Sequence[str]) -> str | None:
    return names[int(weights.argmax())] if float(weights.sum()) > USED else None
