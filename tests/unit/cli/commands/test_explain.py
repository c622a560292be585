"""``regard explain`` tests every word, and what it saves shows the tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regard.cli import main
from regard.faithfulness import FRACTIONS
from regard.pipeline import Captioner

pytestmark = pytest.mark.usefixtures("only_shipped")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (90, 50, 3), np.uint8)).save(path)
    return path


def test_every_word_of_a_photo_is_a_row(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(photo), "--model", "looker"]) == 0
    first, head, *rows = capsys.readouterr().out.splitlines()
    text = first.removeprefix(f"{photo}: ")
    assert head.split() == ["word", "sure", "without", "alone", "random", "points", "at", "evidence"]
    assert [row.split()[0] for row in rows] == text.split()
    assert {row.split()[-1] for row in rows} <= {"yes", "no"}


def test_data_holds_the_curves_of_every_order(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(photo), "--model", "looker", "--json", "--pixels"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    for word in json.loads(line)["words"]:
        measured = word["faithfulness"]
        names = {"weights", "random", "uniform", "gradient", "occlusion", "pixels-blur", "pixels-mean"}
        assert set(measured["orders"]) == names
        assert len(measured["importance"]) == len(word["weights"]) * len(word["weights"][0])
        for curve in measured["orders"].values():
            assert len(curve["comprehensiveness"]) == len(curve["sufficiency"]) == len(FRACTIONS)
            assert 0 <= curve["deletion_area"] <= 1


def test_a_page_shows_the_curve_and_says_which_words_have_no_evidence(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(photo), "--model", "looker", "--json", "--save", str(tmp_path / "out")]) == 0
    words = json.loads(capsys.readouterr().out)["words"]
    page = (tmp_path / "out" / "a.html").read_text(encoding="utf-8")
    doubtful = sum(not word["faithfulness"]["supported"] for word in words)
    assert page.count('class="curve"') == len(words)
    assert page.count(", without evidence") == page.count('class="word doubtful"') == doubtful
    with Image.open(tmp_path / "out" / "a.png") as sheet:
        assert sheet.height > 300


def test_a_sentence_is_explained_word_by_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "a red cat sits", "--model", "speaker", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    words = json.loads(line)["words"]
    assert words
    assert all("supported" in word["faithfulness"] for word in words)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere.jpg", "--model", "looker"], "no such file"),
        (["A red cat sits. Two dogs run.", "--model", "speaker"], "explain one sentence at a time"),
        (["a red cat", "--model", "speaker", "--pixels"], "--pixels hides parts of photos"),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert reason in line


def test_several_photos_that_fit_no_picture_are_refused_before_any_is_measured(
    photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []
    monkeypatch.setattr(Captioner, "explain", lambda self, path, **options: measured.append(path))
    (photo.parent / "b.jpg").write_bytes(photo.read_bytes())
    command = ["explain", str(photo.parent), "--model", "looker", "--save", str(photo.parent / "x.png")]
    assert main(command) == 1
    assert "a .png file holds one result" in capsys.readouterr().err
    assert not measured
