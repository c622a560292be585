"""Intervals hold the score, and p-values fall where one model is better on nearly every input."""

from __future__ import annotations

import pytest

from regard.evaluation.compare.significance import Written, judge

WORDS = ["red", "blue", "green", "white", "dog", "cat", "car", "tree", "house", "ball"]
REFERENCES = [[f"a {first} {second} here", f"the {first} {second}"] for first in WORDS for second in WORDS[::-1]]
RIGHT = [group[0] for group in REFERENCES]


def written(texts: list[str]) -> Written:
    return Written([], texts, REFERENCES)


def wrong(every: int, *, start: int = 0) -> list[str]:
    return ["a thing" if number % every == start else text for number, text in enumerate(RIGHT)]


def test_captions_and_their_intervals() -> None:
    best, equal, worse = judge([[written(RIGHT)], [written(RIGHT)], [written(wrong(2))]], 0)
    assert (best.p_value, equal.p_value, worse.p_value) == (None, 1.0, 0.0)
    assert (best.low, best.high) == (equal.low, equal.high)
    assert worse.low < worse.high < best.low


def test_seeds_that_differ_make_intervals_wider() -> None:
    seeds = [[written(wrong(10, start=1))] * 3, [written(wrong(3)), written(wrong(20)), written(RIGHT)]]
    alike, unlike = judge(seeds, 0)
    assert unlike.high - unlike.low > alike.high - alike.low


def test_translations_are_judged_by_bleu() -> None:
    references = [f"{text} and nothing more" for text in RIGHT]
    good = Written([], references, references)
    bad = Written([], [text.replace("nothing", "all") for text in references], references)
    first, second = judge([[good], [bad]], 0)
    assert (first.low, first.high) == pytest.approx((100, 100))
    assert second.p_value == 0
