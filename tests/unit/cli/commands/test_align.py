"""``regard align``: Pharaoh lines on standard output or in a file, the error rate beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regard.cli import main
from regard.saved.bundle import Bundle, save_bundle


@pytest.fixture
def command(tiny_translator: Bundle, tmp_path: Path) -> list[str]:
    save_bundle(tiny_translator, tmp_path / "model")
    (tmp_path / "val.en").write_text("A dog runs.\n\nTwo dogs\n")
    (tmp_path / "val.de").write_text("Ein Hund\n\nHunde\n")
    return ["align", str(tmp_path / "model"), str(tmp_path), "--split", "val"]


def test_lines_files_and_json_tell_the_same(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [len(line.split()) for line in lines] == [2, 0, 1]
    links = tmp_path / "links.txt"
    assert main([*command, "--output", str(links)]) == 0
    assert links.read_text().splitlines() == lines
    assert main([*command, "--output", str(links), "--gold", str(links)]) == 0
    assert capsys.readouterr().out == "alignment error rate 0.00\n"
    assert main([*command, "--gold", str(links), "--json"]) == 0
    *objects, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert [each["alignment"] for each in objects] == lines
    assert last == {"split": "val", "count": 3, "aer": 0.0}


def test_a_captioner_cannot_align(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["align", "flickr8k", *command[2:]]) == 1
    assert capsys.readouterr() == (
        "",
        "error: flickr8k: is a captioner; allowed: a model that translates sentences\n",
    )
