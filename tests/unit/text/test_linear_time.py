"""Every step from a text to its ids takes time that grows as the text does, whatever it is made of."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator

import pytest

from regard.text import CharacterTokenizer, SubwordTokenizer, WordTokenizer, caption_tokens, split_words
from regard.text.words import normalise

KINDS = {
    "words": "A dog runs. ",
    "one word": "a",
    "white space": "\n ",
    "marks that are two marks": "\u0f73",
    "marks out of order": "\u0301\u0316",
    "vowels of Hangul": "\u1161",
    "syllables of Hangul": "각",
    "Han": "犬",
    "composed in reverse": "\u0344",
    "flags": "\U0001f1e9",
    "joined emoji": "\U0001f469\u200d",
    "hyphens": "a-",
    "initials": "U.S.-",
    "numbers": "1,",
    "addresses": "www.",
    "mail": "a@",
    "tags": "<a",
    "entities": "&amp;",
    "apostrophes": "l'n't",
    "brackets and underscores": "[_",
    "no character": "\ufffd",
    "letters that grow in lower case": "İ",
}
TEXTS = ["A dog runs on the beach.", "Two cats sit on a mat.", "abcdefg"]
SHORT, TIMES = 1_000, 8
SLACK = 3
"""By how much time may grow more than the text. It would grow eight times more if it grew as the text's square."""


@pytest.fixture
def without_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def steps() -> dict[str, Callable[[str], object]]:
    pieces = SubwordTokenizer.train(TEXTS, size=300)
    captions = WordTokenizer.train(TEXTS)
    return {
        "normalise": normalise,
        "split_words": split_words,
        "caption_tokens": caption_tokens,
        "merges": pieces.encode,
        "unigram": SubwordTokenizer.train(TEXTS, model="unigram", size=300).encode,
        "words": lambda text: pieces.encode(text).words,
        "plain words": WordTokenizer.train(TEXTS, rule="plain").encode,
        "caption words": lambda text: captions.encode(text).words,
        "characters": CharacterTokenizer.train(TEXTS).encode,
    }


def seconds(step: Callable[[str], object], text: str) -> float:
    start = time.process_time()
    step(text)
    return time.process_time() - start


def growth(step: Callable[[str], object], unit: str) -> float:
    """How many times longer a longer text takes; the least of three where it is much, for others use the machine."""
    short, long = (unit * (length // len(unit)) for length in (SHORT, SHORT * TIMES))
    least = float("inf")
    for _ in range(3):
        least = min(least, seconds(step, long) / max(seconds(step, short), 1e-3))
        if least <= SLACK * TIMES:
            break
    return least


@pytest.mark.usefixtures("without_garbage_collection")
def test_no_step_grows_faster_than_the_text() -> None:
    grown = {(name, kind): growth(step, unit) for name, step in steps().items() for kind, unit in KINDS.items()}
    assert {key: times for key, times in grown.items() if times > SLACK * TIMES} == {}
