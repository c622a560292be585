"""``regard models`` lists what ships, with sizes that are those of the files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regard.cli import main


def test_each_model_is_a_line(only_shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    looker, speaker = capsys.readouterr().out.splitlines()
    assert looker.split()[:2] == ["looker", "captioner"]
    assert "bleu4 12.3, cider 56.8" in looker
    assert looker.endswith("red squares")
    assert speaker.split()[:3] == ["speaker", "translator", "en-de"]


def test_json_is_one_object_a_model(only_shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    looker, speaker = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert looker["bytes"] == sum(path.stat().st_size for path in (only_shipped / "looker").iterdir())
    assert looker["metrics"] == {"data": "red squares", "bleu4": 12.34, "cider": 56.78, "signature": "none"}
    assert speaker["languages"] == ["en", "de"]


def test_a_damaged_model_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("regard.saved.bundle.SHIPPED", tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    assert main(["models"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "broken" in err


def test_no_model_is_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("regard.saved.bundle.SHIPPED", tmp_path)
    assert main(["models"]) == 0
    assert capsys.readouterr() == ("", "")
