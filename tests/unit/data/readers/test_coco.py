"""The reader of COCO captions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from regard.data.check import check
from regard.data.readers import find_format, read_captioned_images, read_collection
from regard.errors import DataError

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, draw: Callable[..., Path]) -> Write:
    """Write the captions of a split, and draw its images."""

    def written(split: str, captions: dict[str, list[str]], *, place: str = "", images: str = "images") -> None:
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        listed = [{"id": number, "file_name": name} for number, name in enumerate(captions, start=7)]
        numbers = {each["file_name"]: each["id"] for each in listed}
        notes = [{"image_id": numbers[name], "caption": text} for name, texts in captions.items() for text in texts]
        text = json.dumps({"images": listed, "annotations": notes})
        (tmp_path / place / f"captions_{split}.json").write_text(text)
        for name in captions:
            draw(f"{images}/{name}")

    return written


def test_captions_of_an_image_stand_together_in_the_order_of_the_file(tmp_path: Path, write: Write) -> None:
    write("train", {"b.jpg": ["A dog.", "The dog\n"], "a.jpg": ["A cat."]})
    write("dev", {"c.jpg": ["A cat."]})
    images = read_captioned_images(tmp_path, "train")
    assert [(each.name, each.captions) for each in images] == [
        ("b.jpg", ("A dog.", "The dog")),
        ("a.jpg", ("A cat.",)),
    ]
    assert images.paths == [tmp_path / "images" / "b.jpg", tmp_path / "images" / "a.jpg"]
    found = find_format(tmp_path)
    assert found is not None
    assert found.name == "coco"


def test_splits_are_joined_by_a_plus(tmp_path: Path, write: Write) -> None:
    write("train", {"a.jpg": ["one"]})
    write("written", {"c.jpg": ["two"], "a.jpg": ["three"]})
    write("dev", {"d.jpg": ["four"]})
    images = read_captioned_images(tmp_path, "train+written")
    assert [(each.name, each.captions) for each in images] == [("a.jpg", ("one", "three")), ("c.jpg", ("two",))]
    assert set(read_collection(tmp_path).splits) == {"train", "written", "dev"}


@pytest.mark.parametrize("given", ["", "annotations", "annotations/captions_val2017.json"])
def test_the_official_folders_are_read(tmp_path: Path, write: Write, given: str) -> None:
    write("val2017", {"a.jpg": ["one"]}, place="annotations", images="val2017")
    assert read_captioned_images(tmp_path / given, "val2017").paths == [tmp_path / "val2017" / "a.jpg"]


def test_images_without_captions_are_left_out(tmp_path: Path, write: Write) -> None:
    write("dev", {"a.jpg": ["one"], "b.jpg": []})
    assert [each.name for each in read_captioned_images(tmp_path, "dev")] == ["a.jpg"]


def test_missing_images_are_rows(tmp_path: Path, write: Write) -> None:
    write("dev", {"a.jpg": ["one"], "b.jpg": ["two"], "c.jpg": ["three"]})
    (tmp_path / "images" / "b.jpg").unlink()
    with pytest.raises(DataError, match=r"there is no image 'b\.jpg'"):
        read_captioned_images(tmp_path, "dev")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not JSON"),
        ('{"images": 3}', "is no COCO captions file"),
        ('{"images": [7], "annotations": []}', "an image has no id or file name: 7"),
        ('{"images": [], "annotations": [{"image_id": 1, "caption": "a"}]}', "annotation 1 is about an image 1 that"),
        ('{"images": [], "annotations": [{"image_id": [], "caption": "a"}]}', r"annotation 1 is about an image \[\]"),
        ('{"images": [], "annotations": [{"image_id": 1}]}', "annotation 1 has no caption"),
    ],
)
def test_what_is_no_captions_file_is_one_error(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "captions_train.json").write_text(content)
    (problem,) = check(tmp_path).problems
    assert re.search(reason, str(problem))
    with pytest.raises(DataError, match=reason):
        read_captioned_images(tmp_path, "train")


def test_an_unknown_split_names_those_there_are(tmp_path: Path, write: Write) -> None:
    write("train", {"a.jpg": ["one"]})
    with pytest.raises(DataError, match="has no split 'test'") as error:
        read_captioned_images(tmp_path, "test")
    assert error.value.allowed == "train"
