"""The captioner that ships: small enough, loads without anything else, and as good as its card says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import regard
from regard.evaluation.evaluate import evaluate
from regard.saved.bundle import SHIPPED

DATA = Path(os.environ.get("REGARD_DATA", Path(__file__).parents[2] / "../shared/data")) / "flickr8k"


def test_it_fits_in_the_package() -> None:
    assert sum(file.stat().st_size for file in (SHIPPED / "flickr8k").iterdir()) <= 25_000_000


def test_it_captions_a_photo_and_says_where_it_looked() -> None:
    photo = np.array(pytest.importorskip("skimage.data").astronaut())
    caption = regard.load("flickr8k").caption(photo, beam=5)
    assert caption.finished
    assert caption.text == " ".join(word.text for word in caption.words)
    assert len(caption.alternatives) == 3
    for word in caption.words:
        assert word.weights.shape == (7, 7)
        assert word.weights.sum() == pytest.approx(1, abs=1e-6)
        assert 0 < word.probability <= 1


@pytest.mark.skipif(not DATA.is_dir(), reason="the images of Flickr8k are not here; REGARD_DATA names their folder")
def test_it_is_as_good_as_its_card_says() -> None:
    scores = evaluate("flickr8k", DATA, "dev", beam=5)
    card = json.loads((SHIPPED / "flickr8k" / "metrics.json").read_text(encoding="utf-8"))
    assert scores["count"] == 1000
    assert scores["bleu4"] >= 22
    assert scores["cider"] >= 58
    # rounding differs between processors, which can turn a word here and there
    for name in ("bleu1", "bleu4", "cider", "rouge_l"):
        assert scores[name] == pytest.approx(card[name], abs=0.5)
