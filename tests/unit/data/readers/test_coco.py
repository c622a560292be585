"""The reader of COCO captions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regard.data.readers import read_captioned_images
from regard.data.readers.coco import coco_splits, is_coco, read_coco
from regard.errors import DataError


def write(folder: Path, split: str, captions: dict[str, list[str]], *, place: str = "", images: str = "images") -> None:
    target = folder / place
    target.mkdir(parents=True, exist_ok=True)
    (folder / images).mkdir(exist_ok=True)
    listed = [{"id": number, "file_name": name} for number, name in enumerate(captions, start=7)]
    numbers = {each["file_name"]: each["id"] for each in listed}
    notes = [{"image_id": numbers[name], "caption": text} for name, texts in captions.items() for text in texts]
    (target / f"captions_{split}.json").write_text(json.dumps({"images": listed, "annotations": notes}))
    for name in captions:
        (folder / images / name).write_bytes(b"")


def test_captions_of_an_image_stand_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, "train", {"b.jpg": ["A dog.", "The dog\n"], "a.jpg": ["A cat."]})
    images = read_coco(tmp_path, "train")
    assert [(each.name, each.captions) for each in images] == [
        ("b.jpg", ("A dog.", "The dog")),
        ("a.jpg", ("A cat.",)),
    ]
    assert images.paths == [tmp_path / "images" / "b.jpg", tmp_path / "images" / "a.jpg"]
    assert is_coco(tmp_path)


def test_splits_are_joined_by_a_plus(tmp_path: Path) -> None:
    write(tmp_path, "train", {"a.jpg": ["one"]})
    write(tmp_path, "written", {"c.jpg": ["two"], "a.jpg": ["three"]})
    images = read_coco(tmp_path, "train+written")
    assert [(each.name, each.captions) for each in images] == [("a.jpg", ("one", "three")), ("c.jpg", ("two",))]
    assert coco_splits(tmp_path) == ["train", "written"]


def test_the_official_folders_are_read(tmp_path: Path) -> None:
    write(tmp_path, "val2017", {"a.jpg": ["one"]}, place="annotations", images="val2017")
    assert read_coco(tmp_path, "val2017").paths == [tmp_path / "val2017" / "a.jpg"]


def test_images_without_captions_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "train", {"a.jpg": ["one"], "b.jpg": []})
    assert [each.name for each in read_coco(tmp_path, "train")] == ["a.jpg"]


def test_missing_images_are_counted_and_the_first_named(tmp_path: Path) -> None:
    write(tmp_path, "train", {"a.jpg": ["one"], "b.jpg": ["two"], "c.jpg": ["three"]})
    (tmp_path / "images" / "b.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of the 3 images of split 'train' .* the first is b\.jpg"):
        read_coco(tmp_path, "train")


@pytest.mark.parametrize("content", ["[]", "{", '{"images": [], "annotations": [{"image_id": 1, "caption": "a"}]}'])
def test_what_is_no_captions_file_is_one_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "captions_train.json").write_text(content)
    with pytest.raises(DataError, match=r"captions_train\.json: is no "):
        read_coco(tmp_path, "train")


def test_an_unknown_split_names_those_there_are(tmp_path: Path) -> None:
    write(tmp_path, "train", {"a.jpg": ["one"]})
    with pytest.raises(DataError, match="has no split 'dev'") as error:
        read_coco(tmp_path, "dev")
    assert error.value.allowed == "train"


def test_the_format_of_a_folder_is_found_by_looking(tmp_path: Path) -> None:
    write(tmp_path, "dev", {"a.jpg": ["one"]})
    assert read_captioned_images(tmp_path, "dev").captions == [("one",)]
