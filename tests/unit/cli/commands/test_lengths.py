"""``regard lengths``: a row for each range of lengths, a column for each model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regard.cli import main
from regard.saved.bundle import Bundle, save_bundle


@pytest.fixture
def runs(tiny_translator: Bundle, tmp_path: Path) -> Path:
    """Two saved translators and a test set."""
    for name in ("one", "two"):
        save_bundle(tiny_translator, tmp_path / "runs" / name)
    for language in ("en", "de"):
        (tmp_path / f"val.{language}").write_text("a dog runs\ntwo dogs sit near a car\n")
    return tmp_path


def command(folder: Path, *more: str) -> list[str]:
    models = [str(folder / "runs" / name) for name in ("one", "two")]
    return ["lengths", *models, "--data", str(folder), "--split", "val", "--beam", "1", "--set", "max_length=5", *more]


def test_a_table_on_standard_output(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(runs)) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["words", "sentences", "one", "two"]
    assert [row.split()[:2] for row in rows] == [["1–10", "2"]]


def test_json_and_the_page(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = runs / "docs" / "lengths.md"
    assert main(command(runs, "--joined", "2", "--json", "--markdown", str(page))) == 0
    out, err = capsys.readouterr()
    models = [json.loads(line) for line in out.splitlines()]
    assert [(model["name"], sum(part["count"] for part in model["bins"])) for model in models] == [
        ("one", 3),
        ("two", 3),
    ]
    assert str(page) in err
    assert "--joined 2 --beam 1 --set max_length=5" in page.read_text(encoding="utf-8")


def test_a_page_that_is_no_markdown_is_refused_before_any_model_is_loaded(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lengths", "gone", "--data", str(runs), "--split", "val", "--markdown", "page.txt"]) == 1
    assert ".md" in capsys.readouterr().err


def test_rows_may_be_cut_elsewhere(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(runs, "--bins", "4,9")) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[:2] for row in rows] == [["1–4", "1"], ["5–9", "1"]]


@pytest.mark.parametrize("bins", ["", "9,4", "4,4", "0,4", "four", "4,"])
def test_bins_that_are_none_are_refused(runs: Path, bins: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(runs, "--bins", bins)) == 1
    assert "growing numbers of words" in capsys.readouterr().err
