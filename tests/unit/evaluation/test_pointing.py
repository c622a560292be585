"""Peaks and shares of weights in boxes, counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regard.annotations import Regions
from regard.errors import DataError
from regard.evaluation.pointing import (
    CENTRE,
    POINT,
    UNIFORM,
    WEIGHTS,
    BoxedPhoto,
    box_classes,
    judge,
    measure_pointing,
    overlaps,
    pointed_nouns,
    read_boxes,
    score_pointing,
)
from regard.evidence.reference_words import stem
from regard.pipeline import Captioner
from regard.progress import Silent
from regard.results import Caption, Word
from regard.saved.bundle import Bundle

RECTANGLES = tuple((c * 40.0, r * 40.0, c * 40.0 + 40, r * 40.0 + 40) for r in range(2) for c in range(3))
REGIONS = Regions(2, 3, RECTANGLES, width=120, height=80)
PHOTO = BoxedPhoto(Path("a.jpg"), 120, 80, {"dog": ((0.0, 0.0, 60.0, 40.0),), "cat": ((100.0, 60.0, 110.0, 70.0),)})


def test_overlaps_equal_areas() -> None:
    assert overlaps(REGIONS, PHOTO.boxes["dog"]) == pytest.approx([1, 0.5, 0, 0, 0, 0])
    two = [(0.0, 0.0, 40.0, 40.0), (20.0, 0.0, 60.0, 40.0)]
    assert overlaps(REGIONS, two) == pytest.approx([1, 0.5, 0, 0, 0, 0])


def test_a_noun_points_by_its_peak_and_by_its_share() -> None:
    noun = judge(0, PHOTO, "dog", "puppy", np.array([0.6, 0.2, 0.1, 0.1, 0, 0]), REGIONS)
    assert noun.hits == {WEIGHTS: 1.0, CENTRE: 1.0, UNIFORM: pytest.approx(2 / 6)}
    assert noun.inside[WEIGHTS] == pytest.approx(0.6 + 0.1)
    assert noun.inside[UNIFORM] == pytest.approx(1.5 / 6)
    away = judge(0, PHOTO, "dog", "dog", np.array([0.0, 0, 0, 0, 0, 1]), REGIONS)
    assert (away.hits[WEIGHTS], away.inside[WEIGHTS]) == (0.0, 0.0)


def test_a_peak_may_lie_fifteen_native_pixels_from_a_box() -> None:
    # 15 of 480 pixels are 2.5 of these 80: the middle (100, 60) is in reach of a box that begins at 102, not at 103
    for left, hit in ((102.0, 1.0), (103.0, 0.0)):
        photo = BoxedPhoto(Path("a.jpg"), 120, 80, {"cat": ((left, 58.0, 115.0, 70.0),)})
        assert judge(0, photo, "cat", "cat", np.array([0.0, 0, 0, 0, 0, 1]), REGIONS).hits[WEIGHTS] == hit


def test_scores_come_by_size_and_class_with_intervals() -> None:
    good = judge(0, PHOTO, "dog", "dog", np.array([1.0, 0, 0, 0, 0, 0]), REGIONS)
    bad = judge(1, PHOTO, "dog", "dog", np.array([0.0, 0, 0, 0, 0, 1]), REGIONS)
    rows = score_pointing([good] * 9 + [bad])
    first = next(row for row in rows if (row.group, row.weights) == ("all", WEIGHTS))
    assert (first.count, first.hit) == (10, 90)
    assert first.hit_low <= 90 <= first.hit_high
    assert {row.group for row in rows} == {"all", good.size, "dog"}
    assert score_pointing([]) == []


def test_nouns_name_classes_by_their_forms() -> None:
    classes = box_classes()
    found = {word: classes.get(stem(word)) for word in ("men", "puppies", "bikes", "sofa", "sky")}
    assert found == {"men": "person", "puppies": "dog", "bikes": "bicycle", "sofa": "couch", "sky": None}


def boxed(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (120, 80), "green").save(folder / "images" / "a.jpg")
    values = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 120, "height": 80},
            {"id": 2, "file_name": "b", "width": 1},
        ],
        "categories": [{"id": 5, "name": "dog"}],
        "annotations": [{"image_id": 1, "category_id": 5, "bbox": [0, 0, 60, 40]}],
    }
    (folder / "boxes.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


def test_photos_with_boxes_are_read_and_measured(tiny_captioner: Bundle, tmp_path: Path) -> None:
    folder = boxed(tmp_path / "data")
    (photo,) = read_boxes(folder)
    assert photo.boxes == {"dog": ((0.0, 0.0, 60.0, 40.0),)}
    for row in measure_pointing(Captioner(tiny_captioner), folder, beam=1):
        assert 0 <= row.inside <= 100


def test_where_a_word_points_is_all_its_weight(monkeypatch: pytest.MonkeyPatch, tiny_captioner: Bundle) -> None:
    said = Word("puppies", 0.5, np.full((2, 3), 1 / 6), point=(0.4, 0.3))
    photo = np.zeros((80, 120, 3), dtype=np.uint8)
    caption = Caption("a.jpg", "puppies", -1.0, (said,), (), True, photo, REGIONS)
    captioner = Captioner(tiny_captioner)
    monkeypatch.setattr(captioner, "caption_many", lambda *_, **__: iter([caption]))
    (noun,) = pointed_nouns(captioner, [PHOTO], progress=Silent(), changes={})
    assert (noun.hits[POINT], noun.inside[POINT]) == (1.0, 0.5)


@pytest.mark.parametrize("text", ["", "{}", '{"images": [], "categories": [{}], "annotations": []}', None])
def test_what_holds_no_boxes_is_one_line(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "boxes.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"boxes\.json"):
        read_boxes(tmp_path)
