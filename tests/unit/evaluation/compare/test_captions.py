"""Captions from elsewhere are scored on the photos of a split; what does not fit them is one error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from regard.cli import main
from regard.errors import DataError
from regard.evaluation.compare.captions import compare_captions

COLOURS = ["red", "green", "blue", "white"]
OTHERS = "".join(json.dumps({"path": f"dev-{colour}-0.png", "text": "a"}) + "\n" for colour in COLOURS[1:])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """The right captions as objects out of order, and poor ones as lines."""
    right, poor = tmp_path / "right.jsonl", tmp_path / "poor.txt"
    rows = [{"path": f"elsewhere/dev-{colour}-0.png", "text": f"a {colour} square"} for colour in COLOURS]
    right.write_text("".join(json.dumps(row) + "\n" for row in rows[::-1]))
    poor.write_text("a red square\n" * 4)
    return [poor, right]


def test_the_best_comes_first_with_intervals_and_p(
    squares: Path, files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    words = ["compare", *map(str, files), "--data", str(squares), "--markdown", str(page)]
    assert main([*words, "--json"]) == 0
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [first["name"], second["name"]] == [str(files[1]), str(files[0])]
    assert first["cider"] > second["cider"]
    assert first["p_value"] is None
    assert second["p_value"] < 0.2
    assert first["interval"][0] <= first["cider"] <= first["interval"][1]
    assert json.loads(page.with_suffix(".json").read_text())["captions"] == [first, second]
    assert "| `" in page.read_text()
    html = page.with_suffix(".html").read_text()
    assert "<td>a white square</td>" in html
    assert "<svg " in html


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "one\ntwo\n", "has 2 lines; allowed: one for each of the 4 photos"),
        ("a.jsonl", '{"path": "dev-red-0.png", "text": "a"}\n', "has no caption of dev-.*, the first of 3 such photos"),
        ("a.jsonl", '{"path": "dev-red-0.png", "text": "a"}\n' * 2 + OTHERS, "has several captions of dev-red-0.png"),
        ("a.jsonl", "red\n", "line 1 is no JSON object"),
        ("a.jsonl", '{"image": "a.jpg"}\n', "line 1 has no photo or no caption"),
    ],
)
def test_captions_that_do_not_fit_are_one_error(
    squares: Path, tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said):
        compare_captions([tmp_path / name], squares, "dev")


@pytest.fixture
def two_folders(tmp_path: Path) -> Path:
    """Two photos of one name in two folders."""
    rows = []
    for folder, colour in (("a", "red"), ("b", "blue")):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8), colour).save(tmp_path / folder / "1.png")
        rows.append(json.dumps({"image": f"{folder}/1.png", "caption": f"a {colour} square", "split": "dev"}) + "\n")
    (tmp_path / "captions.jsonl").write_text("".join(rows))
    return tmp_path


def test_photos_of_one_name_are_told_apart_by_their_folders(two_folders: Path, tmp_path: Path) -> None:
    lines = [
        {"path": "x/b/1.png", "text": "blue"},
        {"path": "x/a/1.png", "text": "red"},
        {"path": "1.png", "text": "?"},
    ]
    (tmp_path / "found.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (judged,) = compare_captions([tmp_path / "found.jsonl"], two_folders / "captions.jsonl", "dev")
    texts = dict(zip(judged.written.inputs, judged.written.hypotheses, strict=True))
    assert texts == {str(two_folders / "a" / "1.png"): "red", str(two_folders / "b" / "1.png"): "blue"}

    (tmp_path / "found.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines[1:]))
    with pytest.raises(DataError, match=r"has no caption of b/1\.png, the first of 1 such photos"):
        compare_captions([tmp_path / "found.jsonl"], two_folders / "captions.jsonl", "dev")


def test_a_photo_elsewhere_in_a_file_does_not_take_the_place_of_one_of_the_split(squares: Path, tmp_path: Path) -> None:
    (red,) = (squares / "Flicker8k_Dataset").glob("dev-red-0.png")
    lines = [{"path": str(red), "text": "red"}, {"path": "other/dev-red-0.png", "text": "other"}]
    (tmp_path / "found.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + OTHERS)
    (judged,) = compare_captions([tmp_path / "found.jsonl"], squares, "dev")
    assert sorted(judged.written.hypotheses) == ["a", "a", "a", "red"]
