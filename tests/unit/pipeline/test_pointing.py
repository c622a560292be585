"""Where a word points: by the concept that it names, else by its weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from regard.annotations import Regions
from regard.pipeline.generation import Generation, NamedConcepts, ScoredText
from regard.pipeline.pointing import peak, pointing_map, points
from regard.text import WordPieces

CELLS = tuple((x * 10.0, y * 20.0, x * 10.0 + 10, y * 20.0 + 20) for y in range(3) for x in range(4))
REGIONS = Regions(3, 4, CELLS, width=40, height=60)


def generation(text: str, *, ids: tuple[int, ...] = ()) -> Generation:
    words = tuple(WordPieces(word, (place,), (0, 1)) for place, word in enumerate(text.split()))
    weights = np.full((len(words), len(REGIONS)), 1 / len(REGIONS), dtype=np.float32)
    return Generation(ScoredText(text, -1.0, len(words)), (), words, (0.5,) * len(words), weights, True, ids)


def one_hot(region: int) -> NDArray[np.float64]:
    return np.eye(len(REGIONS))[region]


@pytest.mark.parametrize("region", range(len(REGIONS)))
def test_the_peak_of_one_region_is_its_middle(region: int) -> None:
    left, top, right, bottom = REGIONS.rectangles[region]
    assert peak(one_hot(region), REGIONS) == pytest.approx(((left + right) / 80, (top + bottom) / 120), abs=0.08)


def test_the_peak_lies_in_the_middle_of_a_large_thing_and_not_on_a_lone_cell() -> None:
    weights = np.array([[0.2, 0.0, 0.0, 0.0], [0.0, 0.0, 0.19, 0.19], [0.0, 0.0, 0.19, 0.19]]).ravel()
    x, y = peak(weights, REGIONS)
    assert (0.6 < x < 0.9, 0.4 < y < 0.9) == (True, True)


def test_a_word_that_names_a_concept_points_where_the_classifier_sees_it() -> None:
    maps = np.stack([one_hot(2), one_hot(7)]).astype(np.float32)
    said = replace(generation("two dogs"), concepts=NamedConcepts(("cat", "dog"), (0.6, 0.3), maps))
    assert pointing_map(said, 1, one_hot(0)).tolist() == one_hot(7).tolist()
    assert pointing_map(said, 0, one_hot(0)).tolist() == one_hot(0).tolist()


def test_words_that_name_nothing_point_nowhere() -> None:
    attended = [one_hot(0), one_hot(5)]
    nowhere, somewhere = points(generation("the boat"), attended, REGIONS)
    assert nowhere is None
    assert somewhere == peak(one_hot(5), REGIONS)
