"""Tables of captions as Kaggle, spreadsheets and data-set hubs have them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from regard.data.check import check
from regard.data.readers import read_captioned_images, read_collection
from regard.data.tables import read_table

Draw = Callable[..., Path]
CAPTIONS = {
    "a.jpg": ("A dog , still , runs", 'He says "no" .'),
    "b.JPG": ("Two cats", "Zwei Käfer"),
    "c.png": ("line one\nline two", "a; b\tc|d"),
}


@pytest.fixture(autouse=True)
def _images(draw: Draw, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REGARD_CACHE", str(tmp_path / "cache"))
    for name in CAPTIONS:
        draw(f"data/Images/{name}")


def all_captions(folder: Path) -> dict[str, tuple[str, ...]]:
    collection = read_collection(folder)
    assert collection.problems == ()
    return {image.path.name: image.captions for image in collection.images.values()}


def quoted(cell: str, delimiter: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(each in cell for each in f'{delimiter}"\n') else cell


@pytest.mark.parametrize("delimiter", [",", ";", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("file", "header"),
    [
        ("captions.txt", ("image", "caption")),
        ("metadata.csv", ("file_name", "text")),
        ("my photos.csv", ("Image Name", "Comment")),
        ("x.csv", ("Bild", "Was man sieht")),
    ],
)
def test_kaggle_and_spreadsheets(
    tmp_path: Path, delimiter: str, ending: str, file: str, header: tuple[str, str]
) -> None:
    rows = [(name, caption) for name, captions in CAPTIONS.items() for caption in captions]
    lines = [delimiter.join(quoted(cell, delimiter) for cell in row) for row in rows]
    if file != "x.csv":
        lines.insert(0, delimiter.join(header))
    (tmp_path / "data" / file).write_bytes(b"\xef\xbb\xbf" + ending.join(lines).encode())
    expected = {name: tuple(text.replace("\n", "\n") for text in texts) for name, texts in CAPTIONS.items()}
    assert all_captions(tmp_path / "data") == expected
    assert all_captions(tmp_path / "data" / file) == expected


def test_kaggles_flickr30k_with_its_broken_row(tmp_path: Path) -> None:
    lines = [
        "image_name| comment_number| comment",
        "a.jpg| 0| A dog runs .",
        "a.jpg| 4   A dog ran , too .",
        "b.JPG| 0| x .",
    ]
    (tmp_path / "data" / "results.csv").write_text("\n".join(lines))
    assert all_captions(tmp_path / "data") == {"a.jpg": ("A dog runs .", "A dog ran , too ."), "b.JPG": ("x .",)}


def test_commas_that_nobody_quoted_belong_to_the_caption(tmp_path: Path) -> None:
    (tmp_path / "data" / "captions.csv").write_text('image,caption\na.jpg,a dog, a cat, x\n"b.JPG","quo""ted"\n')
    assert all_captions(tmp_path / "data") == {"a.jpg": ("a dog, a cat, x",), "b.JPG": ('quo"ted',)}


@pytest.mark.parametrize("shape", ["rows", "lists", "columns", "json lists", "sentences"])
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_objects_of_many_shapes(tmp_path: Path, shape: str, suffix: str) -> None:
    objects: list[dict[str, Any]] = []
    for name, texts in CAPTIONS.items():
        match shape:
            case "rows":
                objects += [{"caption": text, "image": name} for text in texts]
            case "lists":
                objects.append({"file_name": f"Images/{name}", "captions": list(texts)})
            case "columns":
                objects.append({"filename": name} | {f"caption_{i}": text for i, text in enumerate(texts)})
            case "json lists":
                objects.append({"image_path": f".\\Images\\{name}", "raw": json.dumps(texts)})
            case _:
                objects.append({"img": name, "sentences": [{"raw": text, "tokens": ["x"]} for text in texts]})
    write(tmp_path / "data" / f"train{suffix}", objects)
    assert all_captions(tmp_path / "data") == CAPTIONS


def write(path: Path, objects: list[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(objects), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(objects), encoding="utf-8")
    else:
        path.write_text("\n".join(json.dumps(each) for each in objects), encoding="utf-8")


def test_images_inside_parquet_are_unpacked_once(tmp_path: Path) -> None:
    objects = []
    for colour in ("red", "green"):
        file = io.BytesIO()
        Image.new("RGB", (40, 30), colour).save(file, "PNG")
        objects.append({"image": {"bytes": file.getvalue(), "path": f"../{colour}.png"}, "text": f"all {colour}"})
    folder = tmp_path / "hub"
    folder.mkdir()
    write(folder / "validation-00000-of-00001.parquet", objects)
    for _ in range(2):
        images = read_captioned_images(folder, "dev")
        assert [each.captions for each in images] == [("all red",), ("all green",)]
    unpacked = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert sorted(path.name for path in unpacked) == ["00000001-red.png", "00000002-green.png", "lock"]


def test_splits_of_a_column_and_of_file_names(tmp_path: Path, draw: Draw) -> None:
    folder = tmp_path / "data"
    (folder / "all.csv").write_text("image,caption,split\na.jpg,x,train\nb.JPG,y,val\nc.png,z,test\n")
    assert {name: list(each) for name, each in read_collection(folder).splits.items()} == {
        "train": ["a.jpg"],
        "val": ["b.JPG"],
        "test": ["c.png"],
    }
    (folder / "all.csv").unlink()
    (folder / "captions_train2014.csv").write_text("image,caption\na.jpg,x\n")
    (folder / "captions_val2014.csv").write_text("image,caption\nb.JPG,y\n")
    assert read_captioned_images(folder, "dev").captions == [("y",)]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("image,caption\na.jpg,\n", 2, "the caption is empty"),
        ("image,caption\na.jpg,x\n,y\n", 3, "names no image"),
        ("image,caption\na.jpg,x\nb.JPG\n", 3, "holds no caption"),
        ("image,caption\na.jpg,x\nd.jpg,y\n", 3, "there is no image 'd.jpg' in"),
        ('image,caption\na.jpg,x\nb.JPG,"y\nc.png,z\n', 3, "opens a quotation mark that is never closed"),
    ],
)
def test_rows_that_cannot_be_used_are_named_by_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    (tmp_path / "data" / "captions.csv").write_text(text)
    (problem,) = check(tmp_path / "data").problems
    assert (problem.line, problem.reason[: len(reason)]) == (line, reason)
    assert problem.remedy


def test_a_row_that_is_no_json_does_not_hide_the_others(tmp_path: Path) -> None:
    path = tmp_path / "data" / "train.jsonl"
    path.write_text('{"image": "a.jpg", "caption": "x"}\n{"image": \n[3]\n{"image": "b.JPG", "caption": "\\ud800"}\n')
    assert [problem.line for problem in check(tmp_path / "data").problems] == [2, 3, 4]
    assert [image.captions for image in read_collection(tmp_path / "data").images.values()] == [("x",)]


def test_damaged_parquet_is_a_problem(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "data" / "train.parquet"
    path.write_bytes(b"PAR1 and no more")
    (problem,) = read_table(path, lambda _: False)
    assert "damaged or no Parquet file" in str(problem)
