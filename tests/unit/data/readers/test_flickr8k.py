"""The official layout, and a row for each way in which a copy of it can be broken."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from regard.data.captioned import CaptionedImages
from regard.data.check import check
from regard.data.readers import read_captioned_images, read_collection
from regard.errors import DataError
from regard.text import WordTokenizer, caption_tokens

OFFICIAL = Path(os.environ.get("REGARD_DATA", Path(__file__).parents[4] / "shared" / "data")) / "flickr8k"


@pytest.fixture
def folder(tmp_path: Path, draw: Callable[..., Path]) -> Path:
    lines = []
    for name in ("b.jpg", "a.jpg", "c.jpg"):
        draw(f"Flicker8k_Dataset/{name}")
        lines += [f"{name}#{i}\tA  dog {i} ,\tnear {name} ." for i in (1, 0, 2, 3, 4)]
    (tmp_path / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "Flickr_8k.trainImages.txt").write_text("b.jpg\na.jpg\n", encoding="utf-8")
    (tmp_path / "Flickr_8k.devImages.txt").write_text("c.jpg", encoding="utf-8")
    return tmp_path


def add(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_images_come_in_the_order_of_the_list_with_captions_in_order(folder: Path) -> None:
    images = read_captioned_images(folder, "train")
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
    assert sorted(read_collection(folder).splits) == ["dev", "holiday", "train"]
    assert [item.name for item in read_captioned_images(folder, "holiday")] == ["c.jpg", "a.jpg"]


def test_unknown_split_says_what_is_allowed(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no split 'test'; allowed: dev, train"):
        read_captioned_images(folder, "test")


def test_validation_is_found_by_another_name(folder: Path) -> None:
    assert [item.name for item in read_captioned_images(folder, "val")] == ["c.jpg"]


def test_a_folder_without_captions_says_which_layouts_there_are(folder: Path) -> None:
    (folder / "Flickr8k.token.txt").unlink()
    with pytest.raises(DataError, match=r"no captioned images in a known layout; allowed: .*NAME#INDEX.*docs/data.md"):
        read_captioned_images(folder, "train")
    with pytest.raises(DataError, match="absent: no such folder"):
        read_captioned_images(folder / "absent", "train")


def test_images_lie_anywhere_below(folder: Path) -> None:
    (folder / "Flicker8k_Dataset").rename(folder / "pictures")
    (folder / "pictures" / "b.jpg").rename(folder / "pictures" / "B.JPG")
    assert [path.name for path in read_captioned_images(folder, "train").paths] == ["B.JPG", "a.jpg"]


def test_the_copy_number_of_a_name_does_not_matter(folder: Path) -> None:
    text = (folder / "Flickr8k.token.txt").read_text().replace("a.jpg#", "a.jpg.1#")
    (folder / "Flickr8k.token.txt").write_text(text)
    (folder / "Flickr_8k.trainImages.txt").write_text("a.jpg.1\n")
    (image,) = read_captioned_images(folder, "train")
    assert (image.name, image.path.name) == ("a.jpg.1", "a.jpg")


def test_absent_images_are_rows_and_refused_where_nothing_may_be_left_out(folder: Path) -> None:
    (folder / "Flicker8k_Dataset" / "a.jpg").unlink()
    with pytest.raises(DataError, match=r"split 'train' has a problem: .*line 7: there is no image 'a.jpg'"):
        read_captioned_images(folder, "train")
    images = read_captioned_images(folder, "train", strict=False)
    assert [item.name for item in images] == ["b.jpg"]
    assert images.left_out == read_collection(folder).problems
    (problem,) = check(folder).problems
    assert (problem.line, problem.split) == (7, "train")
    assert len(read_captioned_images(folder, "dev")) == 1


def test_data_of_which_most_is_missing_are_refused(folder: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (folder / "Flicker8k_Dataset" / name).unlink()
    with pytest.raises(DataError, match=r"2 problems, the first: .*b.jpg.*regard data check"):
        read_captioned_images(folder, "train", strict=False)


def test_a_cut_off_image_is_found_without_decoding_all(folder: Path) -> None:
    path = folder / "Flicker8k_Dataset" / "c.jpg"
    path.write_bytes(path.read_bytes()[:-20])
    (problem,) = check(folder).problems
    assert "damaged or cut short" in problem.reason


def test_images_without_captions_are_rows(folder: Path, draw: Callable[..., Path]) -> None:
    draw("Flicker8k_Dataset/d.jpg")
    add(folder / "Flickr_8k.trainImages.txt", "d.jpg\n")
    (problem,) = check(folder).problems
    assert str(problem) == (
        f"{folder}/Flickr_8k.trainImages.txt: line 3: the image 'd.jpg' has no caption in Flickr8k.token.txt; "
        "write one, or delete it"
    )


@pytest.mark.parametrize(
    ("file", "text", "line", "reason"),
    [
        ("Flickr8k.token.txt", "a.jpg A dog\n", 16, "is not a caption: a.jpg A dog"),
        ("Flickr8k.token.txt", "a.jpg#x\tA dog\n", 16, "is not a caption"),
        ("Flickr8k.token.txt", "a.jpg#1\tA dog\n", 16, "gives caption 1 of a.jpg again"),
        ("Flickr8k.token.txt", "a.jpg#9\t \n", 16, "the caption is empty"),
        ("Flickr_8k.trainImages.txt", "b.jpg\n", 3, "names b.jpg again, after line 1"),
    ],
)
def test_malformed_lines_are_rows(folder: Path, file: str, text: str, line: int, reason: str) -> None:
    add(folder / file, text)
    (problem,) = check(folder).problems
    assert (problem.file, problem.line) == (str(folder / file), line)
    assert problem.reason.startswith(reason)
    assert problem.remedy
    with pytest.raises(DataError, match=f"line {line}"):
        read_captioned_images(folder, "train")
    assert len(read_captioned_images(folder, "train", strict=False)) == 2


def test_latin_1_is_said_plainly(folder: Path) -> None:
    path = folder / "Flickr8k.token.txt"
    path.write_bytes(path.read_bytes() + b"a.jpg#7\tcaf\xe9\n")
    (problem,) = check(folder).problems
    assert str(problem).endswith(
        "line 16: is not UTF-8 (byte 12 of the line is 0xe9, 'é' in Latin-1); save it as UTF-8"
    )


def test_check_counts(folder: Path) -> None:
    add(folder / "Flickr8k.token.txt", "a.jpg#6\tA  dog 0 ,\tnear a.jpg .\n")
    add(folder / "Flickr_8k.devImages.txt", "\nb.jpg")
    report = check(folder, decode_images=True)
    assert (report.kind, report.format, report.drawn, report.minimum_count) == ("captions", "flickr8k", (), 1)
    dev, train = report.splits
    assert (dev.name, dev.count, train.name, train.count) == ("dev", 2, "train", 2)
    expected = {"captions": 11, "duplicates": 1, "longest": 7, "fewest_captions": 5, "most_captions": 6}
    assert {name: train.figures[name] for name in expected} == expected
    assert dev.figures["unknown_percent"] > train.figures["unknown_percent"] == 0
    (shared,) = report.problems
    assert (shared.split, shared.reason) == ("train", "is the same picture as b.jpg of the split 'dev'")


def test_the_same_picture_under_two_names_is_found_across_splits(folder: Path) -> None:
    (folder / "Flicker8k_Dataset" / "c.jpg").write_bytes((folder / "Flicker8k_Dataset" / "a.jpg").read_bytes())
    (problem,) = check(folder).problems
    assert (problem.file, problem.reason) == ("a.jpg", "is the same picture as c.jpg of the split 'dev'")


def test_check_of_an_unknown_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data in a known layout; allowed: .*train.en with train.de"):
        check(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        check(tmp_path / "absent")


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the Flickr8k data are not there")
def test_official_data() -> None:
    dev = read_captioned_images(OFFICIAL, "dev")
    assert len(dev) == 1000
    assert all(len(item.captions) == 5 for item in dev)
    # what a model says is scored on the very tokens that it learned
    captions = [caption for item in dev for caption in item.captions]
    tokenizer = WordTokenizer.train(captions)
    for caption in captions:
        assert caption_tokens(tokenizer.decode(tokenizer.encode(caption).ids)) == caption_tokens(caption)
