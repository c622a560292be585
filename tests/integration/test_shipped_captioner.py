"""The captioners that ship: small enough, loaded without anything else, and as good as their cards say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regard
from regard.cli.commands.demo import SAMPLES, sample_photos
from regard.evaluation.evaluate import evaluate
from regard.saved import DEFAULT_CAPTIONER
from regard.saved.bundle import SHIPPED

DATA = Path(os.environ.get("REGARD_DATA", Path(__file__).parents[2] / "../shared/data"))
DANGLING = {"a", "an", "the", "and", "of", "in", "on", "with"}
MAIN_THINGS = {"chelsea": "cat", "coffee": "cup", "motorcycle_left": "motorcycle", "flower": "flowers"}
"""What the captioner of everyday photos names in the demo's photos; its card says what it makes of the others."""


def metrics(name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((SHIPPED / name / "metrics.json").read_text(encoding="utf-8"))
    return values


def test_they_fit_in_the_package() -> None:
    sizes = {
        folder.name: sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        for folder in SHIPPED.iterdir()
        if folder.is_dir()
    }
    assert sizes["everyday"] <= 30_000_000
    assert sizes["flickr8k"] <= 25_000_000
    # what a package index takes is 100 MB
    assert sum(sizes.values()) < 90_000_000


@pytest.mark.parametrize(("name", "side"), [("everyday", 9), ("flickr8k", 7)])
def test_they_caption_a_photo_and_say_where_they_looked(name: str, side: int) -> None:
    photo = np.array(pytest.importorskip("skimage.data").astronaut())
    caption = regard.load(name).caption(photo, beam=5)
    assert caption.finished
    assert caption.text == " ".join(word.text for word in caption.words)
    assert len(caption.alternatives) == 3
    for word in caption.words:
        assert word.weights.shape == (side, side)
        assert word.weights.sum() == pytest.approx(1, abs=1e-6)
        assert 0 < word.probability <= 1


def test_the_default_names_the_main_thing_of_most_photos_of_the_demo() -> None:
    for package in SAMPLES:
        pytest.importorskip(package, reason="its sample photos are not installed")
    captioner = regard.load(DEFAULT_CAPTIONER)
    said = {Path(path).stem: captioner.caption(path).text.split() for path in sample_photos()}
    assert {name for name, thing in MAIN_THINGS.items() if thing in said[name]} == set(MAIN_THINGS)
    assert not [words for words in said.values() if words[-1] in DANGLING]


@pytest.mark.parametrize(
    ("name", "folder", "count", "prefix"),
    [
        ("everyday", "coco-everyday", 150, "coco-everyday/"),
        ("everyday", "flickr8k", 1000, "flickr8k/"),
        ("flickr8k", "flickr8k", 1000, ""),
    ],
)
def test_they_are_as_good_as_their_cards_say(name: str, folder: str, count: int, prefix: str) -> None:
    if not (DATA / folder).is_dir():
        pytest.skip(f"the photos of {folder} are not here; REGARD_DATA names the folder that holds theirs")
    scores, card = evaluate(name, DATA / folder, "dev", beam=5), metrics(name)
    assert scores["count"] == count
    # rounding differs between processors, which can turn a word here and there; of few photos it turns more
    tolerance = 0.5 if count >= 1000 else 1.5
    for score in ("bleu4", "cider"):
        assert scores[score] == pytest.approx(card[prefix + score], abs=tolerance)
