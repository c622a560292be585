"""The official layout, and one clear line for each way in which a copy of it can be broken."""

import os
from pathlib import Path

import pytest

from regard.data.check import check
from regard.data.readers.flickr8k import CaptionedImages, flickr8k_splits, read_flickr8k
from regard.errors import DataError
from regard.text import WordCodec, caption_tokens

OFFICIAL = Path(os.environ.get("REGARD_DATA", Path(__file__).parents[4] / "shared" / "data")) / "flickr8k"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "Flicker8k_Dataset"
    images.mkdir()
    lines = []
    for name in ("b.jpg", "a.jpg", "c.jpg"):
        (images / name).write_bytes(b"picture")
        lines += [f"{name}#{i}\tA  dog {i} ,\tnear {name} ." for i in (1, 0, 2, 3, 4)]
    (tmp_path / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "Flickr_8k.trainImages.txt").write_text("b.jpg\na.jpg\n", encoding="utf-8")
    (tmp_path / "Flickr_8k.devImages.txt").write_text("c.jpg", encoding="utf-8")
    return tmp_path


def add(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_images_come_in_the_order_of_the_list_with_captions_in_order(folder: Path) -> None:
    images = read_flickr8k(folder, "train")
    assert [item.name for item in images] == ["b.jpg", "a.jpg"]
    assert images[0].path == folder / "Flicker8k_Dataset" / "b.jpg"
    assert images[0].captions == tuple(f"A  dog {i} ,\tnear b.jpg ." for i in range(5))
    assert images.paths == [images[0].path, images[1].path]
    assert images.captions == [images[0].captions, images[1].captions]
    assert isinstance(images[1:], CaptionedImages)
    assert [item.name for item in images[1:]] == ["a.jpg"]
    assert len(images) == 2


def test_any_split_name_windows_lines_and_a_byte_order_mark(folder: Path) -> None:
    (folder / "Flickr_8k.holidayImages.txt").write_bytes(b"\xef\xbb\xbfc.jpg\r\n\r\na.jpg\r\n")
    assert flickr8k_splits(folder) == ["dev", "holiday", "train"]
    assert [item.name for item in read_flickr8k(folder, "holiday")] == ["c.jpg", "a.jpg"]


def test_unknown_split_says_what_is_allowed(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no split 'test'; allowed: dev, train; .*Flickr_8k.testImages.txt"):
        read_flickr8k(folder, "test")


@pytest.mark.parametrize("missing", ["Flickr8k.token.txt", "Flicker8k_Dataset"])
def test_missing_parts_are_named(folder: Path, missing: str) -> None:
    (folder / missing).rename(folder / "moved")
    with pytest.raises(DataError, match=rf"{missing}: no such (file|folder)"):
        read_flickr8k(folder, "train")
    assert any(missing in problem for problem in check(folder).problems)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent: no such folder"):
        read_flickr8k(tmp_path / "absent", "train")


def test_absent_images_are_counted_and_the_first_is_named(folder: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (folder / "Flicker8k_Dataset" / name).unlink()
    with pytest.raises(DataError, match=r"2 of the 2 images of split 'train' are not in .*, the first is b.jpg"):
        read_flickr8k(folder, "train")
    assert check(folder).problems == ("train: 2 images not in Flicker8k_Dataset: b.jpg, a.jpg",)


def test_images_without_captions_are_counted(folder: Path) -> None:
    (folder / "Flicker8k_Dataset" / "d.jpg").write_bytes(b"")
    add(folder / "Flickr_8k.trainImages.txt", "d.jpg\n")
    with pytest.raises(DataError, match=r"1 of the 3 images of split 'train' are without a caption .*d.jpg"):
        read_flickr8k(folder, "train")
    assert check(folder).problems == ("train: 1 images without a caption: d.jpg",)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "Flickr8k.token.txt",
            "a.jpg A dog\n",
            "line 16 is not a caption: a.jpg A dog; allowed: NAME#INDEX<tab>",
        ),
        ("Flickr8k.token.txt", "a.jpg#x\tA dog\n", "line 16 is not a caption"),
        ("Flickr8k.token.txt", "a.jpg#1\tA dog\n", "line 16 gives caption 1 of a.jpg a second time"),
        ("Flickr_8k.trainImages.txt", "b.jpg\n", "line 3 names b.jpg again, after line 1"),
    ],
)
def test_malformed_lines_are_named(folder: Path, file: str, text: str, message: str) -> None:
    add(folder / file, text)
    with pytest.raises(DataError) as caught:
        read_flickr8k(folder, "train")
    assert message in str(caught.value)
    assert any(message in problem for problem in check(folder).problems)


def test_empty_list_and_other_encodings(folder: Path) -> None:
    (folder / "Flickr_8k.trainImages.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match="names no image"):
        read_flickr8k(folder, "train")
    (folder / "Flickr8k.token.txt").write_bytes(b"a.jpg#0\tcaf\xe9\n")
    with pytest.raises(DataError, match="line 1 is not UTF-8"):
        read_flickr8k(folder, "dev")


def test_check_counts(folder: Path) -> None:
    add(folder / "Flickr8k.token.txt", "a.jpg#5\t \na.jpg#6\tA  dog 0 ,\tnear a.jpg .\n")
    add(folder / "Flickr_8k.devImages.txt", "\nb.jpg")
    report = check(folder, decode_images=True)
    assert report.kind == "captions"
    dev, train = report.splits
    assert (dev.name, dev.count, train.name, train.count) == ("dev", 2, "train", 2)
    expected = {"captions": 12, "duplicates": 1, "longest": 7, "empty": 1, "missing": 0, "unreadable": 2}
    assert {name: train.figures[name] for name in expected} == expected
    assert report.problems == (
        "dev: 1 images also in another split: b.jpg",
        "dev: 2 images cannot be read: c.jpg, b.jpg",
        "train: 1 images also in another split: b.jpg",
        "train: 1 captions are empty",
        "train: 2 images cannot be read: b.jpg, a.jpg",
    )


def test_check_of_an_unknown_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data in a known layout; allowed: captioned images"):
        check(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        check(tmp_path / "absent")


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the Flickr8k data are not there")
def test_official_data() -> None:
    dev = read_flickr8k(OFFICIAL, "dev")
    assert len(dev) == 1000
    assert all(len(item.captions) == 5 for item in dev)
    assert check(OFFICIAL).problems == ()
    # what a model says is scored on the very tokens that it learned
    captions = [caption for item in dev for caption in item.captions]
    codec = WordCodec.train(captions)
    for caption in captions:
        assert caption_tokens(codec.decode(codec.encode(caption).ids)) == caption_tokens(caption)
