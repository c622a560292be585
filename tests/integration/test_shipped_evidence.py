"""The default captioner knows what it looked at, and when it does not know."""

from __future__ import annotations

import numpy as np
import pytest

import regard
from regard.evaluation.odd_photos import odd_photo
from regard.evidence.reference_words import is_content_word
from regard.faithfulness import FRACTIONS, RANDOM, UNIFORM, WEIGHTS
from regard.pipeline import Captioner
from regard.results import SURE, Caption
from regard.saved import DEFAULT_CAPTIONER


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    loaded = regard.load(DEFAULT_CAPTIONER)
    assert isinstance(loaded, Captioner)
    return loaded


def photos() -> list[np.ndarray]:
    data = pytest.importorskip("skimage.data")
    return [np.array(each()) for each in (data.chelsea, data.coffee, data.astronaut)]


def test_words_need_what_they_looked_at_more_than_what_they_did_not(captioner: Captioner) -> None:
    explained = [captioner.explain(photo) for photo in photos()]
    words = [word for caption in explained for word in caption.words if is_content_word(word.text)]
    assert words
    at = FRACTIONS.index(0.2)
    measured = [word.faithfulness for word in words if word.faithfulness is not None]
    lost = {
        order: np.mean([each.comprehensiveness(order)[at] for each in measured]) for order in (WEIGHTS, RANDOM, UNIFORM)
    }
    assert lost[WEIGHTS] > 2 * lost[RANDOM]
    assert lost[WEIGHTS] > 2 * lost[UNIFORM]


def test_pictures_that_nobody_could_describe_are_not_sure(captioner: Captioner) -> None:
    odd = [
        each
        for each in captioner.caption_many([odd_photo(number) for number in range(70, 98)])
        if isinstance(each, Caption)
    ]
    assert len(odd) == 28
    assert all(caption.confidence is not None for caption in odd)
    unsure = sum(not caption.is_sure for caption in odd)
    assert unsure >= 24
    mean = np.mean([caption.confidence for caption in captioner.caption_many(photos()) if isinstance(caption, Caption)])
    assert mean > np.mean([caption.confidence for caption in odd])
    assert 0 < SURE < 1


def test_words_of_a_photo_of_a_cat_point_at_the_cat(captioner: Captioner) -> None:
    data = pytest.importorskip("skimage.data")
    words = captioner.caption(np.array(data.chelsea())).words
    (cat,) = (word for word in words if word.text == "cat")
    assert cat.point is not None
    x, y = cat.point
    # the head of the cat, as fractions of the photo
    assert (0.2 < x < 0.85, 0.05 < y < 0.9) == (True, True)
    assert all((word.point is None) != is_content_word(word.text) for word in words)
