"""Captions from elsewhere are scored on the photos of a split; what does not fit them is one error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regard.cli import main
from regard.errors import DataError
from regard.evaluation.compare.captions import compare_captions

COLOURS = ["red", "green", "blue", "white"]


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
