"""Where on the photo the thing lies that a word names: more than where the decoder attended before it wrote the word.

    m = μ_w       of a word w that is one of the photo's concepts
    m = α'        of any other
    point = the place where m, smoothed by a Gaussian of one cell, is greatest

μ_w is the class activation map of the encoder's classifier and α' the weights on the photo
(:mod:`regard.encoders.concepts`). docs/evidence.md compares this with attention alone, and with what else was tried.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regard.annotations import Regions
from regard.evidence.reference_words import is_content_word, same_word
from regard.faithfulness import Floats
from regard.pipeline.generation import Generation

Point = tuple[float, float]
"""x and y as fractions of the photo's width and height."""
SIGMA = 1.0
"""Width of the Gaussian, in cells."""
STEPS = 10
"""Places that are compared between the middles of two cells."""


def points(generation: Generation, attended: Sequence[Floats], regions: Regions) -> list[Point | None]:
    """Where each word points; None for words that name nothing.

    Args:
        generation: what was written for a photo.
        attended: α' of each word, [region].
        regions: where they lie.
    """
    return [
        peak(pointing_map(generation, place, own), regions) if is_content_word(word.text.lower()) else None
        for place, (word, own) in enumerate(zip(generation.words, attended, strict=True))
    ]


def pointing_map(generation: Generation, place: int, attended: Floats) -> Floats:
    """m of the word at ``place``, [region], with its weights on the photo."""
    concepts, word = generation.concepts, generation.words[place].text
    if concepts is not None:
        for name, seen in zip(concepts.names, concepts.maps, strict=True):
            if same_word(word, name):
                return np.asarray(seen, dtype=np.float64)
    return attended


def peak(weights: Floats, regions: Regions) -> Point:
    """Where weights [region] on a photo, smoothed by a Gaussian of one cell, are greatest."""
    rows, columns = regions.edges()
    (y, from_rows), (x, from_columns) = _smoothing(rows), _smoothing(columns)
    heat = from_rows @ weights.reshape(regions.rows, regions.columns) @ from_columns.T
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    return float(x[column]), float(y[row])


def _smoothing(cells: Sequence[tuple[float, float]]) -> tuple[Floats, Floats]:
    """Places along one side of the photo, from the middle of the first cell to that of the last, and the share of each
    cell in them, [place, cell]."""
    bounds = np.array(cells)
    middles, size = bounds.mean(axis=1), bounds[0, 1] - bounds[0, 0]
    places = np.linspace(middles[0], middles[-1], STEPS * (len(middles) - 1) + 1)
    near = np.exp(-0.5 * ((places[:, None] - middles) / (SIGMA * size)) ** 2)
    return places.clip(0.0, 1.0), near / near.sum(axis=1, keepdims=True)
