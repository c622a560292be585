"""``regard data check`` counts, and its exit status says whether a training would run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regard.cli import main


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    for split, count in (("train", 3), ("val", 1)):
        for language in ("en", "de"):
            lines = [f"{split} sentence {number} in {language}" for number in range(count)]
            (tmp_path / f"{split}.{language}").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_good_data_are_counted(sentences: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(sentences)]) == 0
    out, err = capsys.readouterr()
    title, head, *rows = (line.split() for line in out.splitlines())
    assert " ".join(title) == f"{sentences}: sentences in de, en"
    assert head[:2] == ["split", "sentences"]
    assert [row[:2] for row in rows] == [["train", "3"], ["val", "1"]]
    assert err == ""


def test_bad_data_are_one_line_a_problem_and_status_one(sentences: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sentences / "val.de").write_text("ein Satz\nund noch einer\n")
    assert main(["data", "check", str(sentences)]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: {sentences}: ")
    assert "val" in err
    assert err.count("\n") == 1


def test_json_is_one_object(sentences: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(sentences), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kind"] == "sentences"
    assert {split["name"]: split["count"] for split in report["splits"]} == {"train": 3, "val": 1}
    assert report["problems"] == []


@pytest.mark.parametrize("name", ["gone", "."])
def test_no_data_is_an_error(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(tmp_path / name)]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
