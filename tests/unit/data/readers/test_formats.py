"""Karpathy's JSON, texts beside photos, tar shards, folders for splits; and which format a folder has."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from regard.data.check import check
from regard.data.readers import FORMATS, find_format, read_captioned_images, read_collection

Draw = Callable[..., Path]


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REGARD_CACHE", str(tmp_path / "cache"))


def named(path: Path) -> str:
    found = find_format(path)
    assert found is not None
    return found.name


def test_karpathy(tmp_path: Path, draw: Draw) -> None:
    images = []
    for number, split in enumerate(["train", "restval", "val", "test"]):
        draw(f"set/val2014/{number}.jpg")
        sentences = [{"raw": f"Caption {i} of {number}.", "tokens": []} for i in range(2)]
        images.append({"filename": f"{number}.jpg", "filepath": "val2014", "split": split, "sentences": sentences})
    text = json.dumps({"images": [*images, {"filename": "x.jpg"}], "dataset": "coco"})
    (tmp_path / "set" / "dataset_coco.json").write_text(text)
    assert named(tmp_path / "set") == "karpathy"
    train = read_captioned_images(tmp_path / "set", "train", strict=False)
    assert [each.captions for each in train] == [
        ("Caption 0 of 0.", "Caption 1 of 0."),
        ("Caption 0 of 1.", "Caption 1 of 1."),
    ]
    assert len(read_captioned_images(tmp_path / "set", "dev", strict=False)) == 1
    (problem,) = check(tmp_path / "set").problems
    assert problem.reason.startswith("image 5 has no file name or no sentences")


def test_texts_beside_photos(tmp_path: Path, draw: Draw) -> None:
    folder = tmp_path / "holiday"
    for name in ("IMG_1.JPG", "day 2/IMG_1.jpg", "day 2/b.png", "alone.jpg"):
        draw(f"holiday/{name}")
    (folder / "IMG_1.txt").write_bytes(b"\xef\xbb\xbfA beach.\r\n\r\nSand and sea.\r\n")
    (folder / "day 2" / "IMG_1.txt").write_text("A boat.")
    (folder / "day 2" / "b.caption").write_text("A gull.\n")
    (folder / "._IMG_1.JPG").write_bytes(b"\0\5\26\7")
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / "notes.txt").write_text("not a caption")
    collection = read_collection(folder)
    assert {name: image.captions for (_, name), image in collection.images.items()} == {
        "IMG_1.JPG": ("A beach.", "Sand and sea."),
        "day 2/IMG_1.jpg": ("A boat.",),
        "day 2/b.png": ("A gull.",),
    }
    (problem,) = collection.problems
    assert problem.file == str(folder / "alone.jpg")
    assert set(collection.drawn) == {"train", "dev", "test"}


def test_folders_for_splits(tmp_path: Path, draw: Draw) -> None:
    for split in ("train", "val"):
        draw(f"set/{split}/1.jpg", colour=len(split))
        draw(f"set/{split}/images/2.jpg", colour=2 + len(split))
        (tmp_path / "set" / split / "metadata.csv").write_text(f"file_name,text\n1.jpg,{split} 1\n2.jpg,{split} 2\n")
    assert named(tmp_path / "set") == "split folders"
    for split in ("train", "val"):
        images = read_captioned_images(tmp_path / "set", split)
        assert images.captions == [(f"{split} 1",), (f"{split} 2",)]
        assert images.paths == [tmp_path / "set" / split / "1.jpg", tmp_path / "set" / split / "images" / "2.jpg"]


def test_tar_shards(tmp_path: Path, draw: Draw) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    for shard, split in enumerate(["train", "train", "val"]):
        with tarfile.open(folder / f"{split}-{shard:04}.tar", "w") as archive:
            for number in range(2):
                image = draw(f"drawn/{shard}-{number}.jpg").read_bytes()
                texts = {"txt": f"Caption {shard}.\nAgain {number}.".encode()}
                if number:
                    texts = {"json": json.dumps({"caption": f"Caption {shard}."}).encode(), "cls": b"3"}
                for suffix, data in {"jpg": image, **texts}.items():
                    member = tarfile.TarInfo(f"./{number:05}.{suffix}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    assert named(folder) == "webdataset"
    assert read_captioned_images(folder, "train").captions == [
        ("Caption 0.", "Again 0."),
        ("Caption 0.",),
        ("Caption 1.", "Again 0."),
        ("Caption 1.",),
    ]
    assert len(read_captioned_images(folder, "dev")) == 2
    whole = (folder / "val-0002.tar").read_bytes()
    (folder / "val-0002.tar").write_bytes(whole[:700])
    assert any("damaged or cut short" in problem.reason for problem in check(folder).problems)


def test_drawn_splits_are_a_function_of_the_seed_and_keep_copies_together(tmp_path: Path, draw: Draw) -> None:
    for number in range(60):
        draw(f"set/{number:02}.jpg", colour=1000 * (number // 2))
        (tmp_path / "set" / f"{number:02}.txt").write_text(f"Photo {number}.")
    first, again, other = (read_collection(tmp_path / "set", seed=seed).splits for seed in (0, 0, 1))
    assert first == again != other
    assert {name: len(each) for name, each in first.items()} == {"train": 36, "dev": 18, "test": 6}
    for names in first.values():
        numbers = [int(Path(name).stem) for name in names]
        assert numbers == sorted(numbers)
        assert {number ^ 1 for number in numbers} == set(numbers), "photos of one content stay together"


def test_validation_is_drawn_out_of_training_where_there_is_none(tmp_path: Path, draw: Draw) -> None:
    for number in range(20):
        draw(f"set/{number}.jpg")
    lines = [f"{number}.jpg,Photo {number},{'test' if number > 15 else 'train'}" for number in range(20)]
    (tmp_path / "set" / "all.csv").write_text("\n".join(["image,caption,split", *lines]))
    collection = read_collection(tmp_path / "set")
    assert {name: len(each) for name, each in collection.splits.items()} == {"train": 11, "test": 4, "dev": 5}
    assert collection.drawn == ("dev",)
    assert len(read_captioned_images(tmp_path / "set", "dev")) == 5


def test_every_format_says_what_it_looks_like() -> None:
    assert len({each.name for each in FORMATS}) == len(FORMATS)
    assert all(each.layout for each in FORMATS)
