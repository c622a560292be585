"""A calibration is fitted, measured on other photos, stored, and then every caption says how sure it is."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regard.cli import main
from regard.errors import DataError, ModelError
from regard.evaluation import calibrate as module
from regard.evaluation.calibrate import USUAL_BAR, acceptance_bar, calibrate, save_calibration
from regard.evaluation.odd_photos import odd_photo
from regard.evidence.calibration import CAPTION_FEATURES, WORD_FEATURES, Calibration, Logistic
from regard.metrics.cider import CiderD
from regard.pipeline import Captioner
from regard.pipeline.confidence import caption_features, word_features
from regard.results import SURE
from regard.saved.bundle import Bundle, load_bundle, save_bundle


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twenty-four photos of dev, in the layout of COCO; of every other one a caption that the model may say."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    random = np.random.default_rng(2)
    for number in range(24):
        pixels = random.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((60, 50)).save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png"})
        text = "a dog runs on the beach near two people and a man in red" if number % 2 else "an empty room"
        annotations.append({"id": number, "image_id": number, "caption": text})
    values = {"images": images, "annotations": annotations}
    (folder / "captions_dev.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _few_odd_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ODD_PHOTOS", 14)


def test_a_calibrated_captioner_says_how_sure_it_is(tiny_captioner: Bundle, data: Path, tmp_path: Path) -> None:
    report = calibrate(Captioner(tiny_captioner), [data])
    folder = save_bundle(tiny_captioner, tmp_path / "model")
    save_calibration(report.calibration, folder)
    captioner = Captioner(load_bundle(folder))
    caption = captioner.caption(data / "images" / "3.png")
    plain = Captioner(tiny_captioner).caption(data / "images" / "3.png")
    assert caption.text == plain.text
    assert (plain.confidence, plain.is_sure) == (None, True)
    assert caption.confidence is not None
    assert caption.is_sure == (caption.confidence >= SURE)
    said = {word.text: word.evidence for word in caption.words}
    assert all(
        (evidence is None) == (word in {"a", "in", "on", "the", "some", "over", "near"})
        for word, evidence in said.items()
    )
    values: dict[str, Any] = caption.to_dict()
    assert values["confidence"] == pytest.approx(caption.confidence, abs=1e-4)
    assert "confidence" not in plain.to_dict()
    kinds = {each.what.split(":")[0] for each in report.measured}
    assert kinds == {
        "words",
        "words, data",
        "captions",
        "captions, photos alone",
        "captions, data",
        "captions, other kinds",
    }
    assert all(0 <= each.error <= 1 for each in report.measured)


def test_the_command_prints_measures_and_stores_the_numbers(
    tiny_captioner: Bundle, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_bundle(tiny_captioner, tmp_path / "model")
    assert main(["calibrate", str(folder), str(data), "--dry-run"]) == 0
    assert not (folder / "calibration.json").exists()
    out = capsys.readouterr().out
    assert "words: probability alone" in out
    assert "reliability of word evidence" in out
    assert "captions are accepted from this CIDEr-D on: 40.0 (data)" in out
    assert main(["calibrate", str(folder), str(data), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    stored = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
    assert stored["word"] == values["word"]
    assert main(["caption", str(data / "images" / "1.png"), "--model", str(folder), "--json"]) == 0
    assert "confidence" in json.loads(capsys.readouterr().out)


def test_four_in_five_captions_of_people_reach_the_bar() -> None:
    names = [f"{colour} {thing}" for colour in "abcde" for thing in "fghij"]
    photos = [[f"{name} on the {place}".split() for place in ("sand", "grass", "road")] for name in names]
    cider = CiderD.from_references(photos)
    scores = [cider.score(own[0], cider.reference_vectors(own[1:])) for own in photos]
    bar = acceptance_bar(cider, photos)
    assert sum(score >= bar for score in scores) >= 0.8 * len(photos)
    assert min(scores) <= bar <= sorted(scores)[len(scores) // 4]


def test_photos_with_one_caption_have_the_usual_bar() -> None:
    photos = [["a", "dog"], ["a", "cat"]]
    alone = [[caption] for caption in photos]
    assert acceptance_bar(CiderD.from_references(alone), alone) == USUAL_BAR


def test_few_photos_are_refused(tiny_captioner: Bundle, captioned_folder: Path) -> None:
    with pytest.raises(DataError, match="3 photos in dev"):
        calibrate(Captioner(tiny_captioner), [captioned_folder])


def test_a_damaged_calibration_is_one_line(tiny_captioner: Bundle, tmp_path: Path) -> None:
    folder = save_bundle(tiny_captioner, tmp_path / "model")
    logistic = Logistic(("log_odds",), (0.0,), (1.0,), (1.0,), 0.0)
    good = Calibration(logistic, Logistic(("caption",), (0.0,), (1.0,), (1.0,), 0.0), np.zeros(12), np.ones(12))
    save_calibration(good, folder)
    assert load_bundle(folder).calibration is not None
    for change in ({"centre": [0.0]}, {"spread": [0.0] * 12}, {"word": {}}, {"caption": None}):
        (folder / "calibration.json").write_text(
            json.dumps({"version": 1, **good.to_dict(), **change}), encoding="utf-8"
        )
        (folder / "manifest.json").unlink(missing_ok=True)
        with pytest.raises(ModelError, match="is no calibration of this version"):
            load_bundle(folder)


def test_odd_photos_are_functions_of_their_number() -> None:
    for number in range(7):
        first, again, other = (np.asarray(odd_photo(each)) for each in (number, number, number + 7))
        assert first.shape == (256, 256, 3)
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


def test_a_page_and_a_line_say_when_a_caption_is_not_sure(
    tiny_captioner: Bundle, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, photo = save_bundle(tiny_captioner, tmp_path / "model"), str(data / "images" / "1.png")
    rows = {"means": (0.0,), "scales": (1.0,), "weights": (0.0,)}
    word, caption = Logistic(("log_odds",), **rows, intercept=-1), Logistic(("caption",), **rows, intercept=-2)
    save_calibration(Calibration(word, caption, np.zeros(12), np.ones(12)), folder)
    page = tmp_path / "page.html"
    assert main(["caption", photo, "--model", str(folder), "--save", str(page)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(" (not sure)")
    text = page.read_text(encoding="utf-8")
    assert "Not sure: of captions like this" in text
    assert re.search("right in 27.% of such cases", text)
    assert main(["caption", photo, "--model", str(folder), "--min-confidence", "0.5", "--min-evidence", "0.5"]) == 0
    assert capsys.readouterr().out.strip() == f"{photo}:  (not sure)"


def test_features_stand_in_the_order_of_their_names(tiny_captioner: Bundle, data: Path) -> None:
    (observed,) = Captioner(tiny_captioner).observe([data / "images" / "1.png"])
    generation = replace(observed[0], novelty=0.25)
    values = dict(zip(WORD_FEATURES, word_features(generation)[0].tolist(), strict=True))
    p = generation.probabilities[0]
    mean = sum(math.log(each) for each in generation.probabilities) / len(generation.probabilities)
    assert values["log_odds"] == pytest.approx(math.log(p / (1 - p)))
    assert (values["caption"], values["novelty"]) == (pytest.approx(mean), 0.25)
    found = dict(zip(CAPTION_FEATURES, caption_features(generation, [0.2, None, 0.6]).tolist(), strict=True))
    expected = {"evidence": 0.4, "caption": mean, "novelty": 0.25, "seen": 0.0, "length": len(generation.words)}
    assert found == pytest.approx(expected)
