"""What is not sure is said more broadly, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from regard.annotations import Regions
from regard.errors import ConfigError
from regard.pipeline.hedging import hedge
from regard.results import Caption, Word

REGIONS = Regions(1, 1, ((0.0, 0.0, 1.0, 1.0),), width=1, height=1)


def caption(words: list[tuple[str, float | None]], confidence: float | None = 0.6) -> Caption:
    return Caption(
        path="a.jpg",
        text=" ".join(word for word, _ in words),
        score=-1.0,
        words=tuple(Word(word, 0.5, np.ones((1, 1)), None, evidence) for word, evidence in words),
        alternatives=(),
        finished=True,
        photo=np.zeros((1, 1, 3), dtype=np.uint8),
        regions=REGIONS,
        confidence=confidence,
    )


SAID: list[tuple[str, float | None]] = [
    ("a", None),
    ("red", 0.3),
    ("kitten", 0.4),
    ("sleeps", 0.2),
    ("on", None),
    ("a", None),
    ("couch", 0.9),
]


@pytest.mark.parametrize(
    ("least", "text"),
    [
        (0.1, "a red kitten sleeps on a couch"),
        (0.35, "a kitten sleeps on a couch"),
        (0.5, "something sleeps on a couch"),
        (0.95, "something sleeps on something"),
    ],
)
def test_unsure_words_become_broader_or_leave(least: float, text: str) -> None:
    hedged = hedge(caption(SAID), min_evidence=least, min_confidence=None)
    assert hedged.text == text
    assert " ".join(word.text for word in hedged.words) == text


@pytest.mark.parametrize(
    ("word", "broader"),
    [("men", "people"), ("girl", "person"), ("zebra", "animal"), ("owls", "birds"), ("runs", "runs")],
)
def test_broader_words(word: str, broader: str) -> None:
    hedged = hedge(caption([("the", None), (word, 0.1)]), min_evidence=0.5, min_confidence=None)
    assert hedged.text == f"the {broader}"


def test_articles_follow_the_new_word() -> None:
    hedged = hedge(caption([("a", None), ("zebra", 0.1), ("runs", 0.9)]), min_evidence=0.5, min_confidence=None)
    assert hedged.text == "an animal runs"


def test_an_unsure_caption_leaves_its_sure_words() -> None:
    assert hedge(caption(SAID, 0.2), min_evidence=None, min_confidence=0.5).text == "couch"
    assert hedge(caption(SAID, 0.7), min_evidence=None, min_confidence=0.5).text == "a red kitten sleeps on a couch"
    nothing = hedge(caption(SAID[:4], 0.2), min_evidence=None, min_confidence=0.5)
    assert (nothing.text, nothing.words) == ("", ())


def test_a_model_that_was_not_calibrated_cannot_hedge() -> None:
    with pytest.raises(ConfigError, match="regard calibrate"):
        hedge(caption(SAID, None), min_evidence=0.5, min_confidence=None)
