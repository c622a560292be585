"""Scores of changed sources: each against the same references, and the loss is the difference to plain ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from regard.cli import main
from regard.evaluation.robustness import measure_robustness
from regard.text.noise import NOISE

if TYPE_CHECKING:
    from regard.saved.bundle import Bundle

PAIRS = [
    ("Two dogs run.", "Zwei Hunde laufen am Strand entlang."),
    ("a red cat sits", "Eine rote Katze sitzt."),
    ("A man.", "Ein Mann."),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place, language in enumerate(("en", "de")):
        lines = "".join(f"{pair[place]}\n" for pair in PAIRS)
        (tmp_path / f"val.{language}").write_text(lines, encoding="utf-8")
    return tmp_path


def test_every_change_is_scored_beside_the_plain_sources(tiny_translator: Bundle, folder: Path) -> None:
    from regard.pipeline import Translator

    scores = measure_robustness(Translator(tiny_translator), folder, "val", beam=2)
    assert [each.change for each in scores] == ["plain", *NOISE, "joined"]
    by_name = {each.change: each for each in scores}
    assert (by_name["plain"].changed, by_name["plain"].loss) == (0, 0.0)
    assert by_name["capitals"].changed == 3
    assert by_name["no_stop"].changed == 2
    assert by_name["digits"].changed == 1
    assert by_name["typographic"].changed == by_name["ascii"].changed == 0
    assert all(each.loss == pytest.approx(by_name["plain"].bleu - each.bleu) for each in scores)
    assert by_name["ascii"].bleu == by_name["plain"].bleu


def test_the_table_of_the_command(tiny_translator: Bundle, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from regard.saved.bundle import save_bundle

    model = str(save_bundle(tiny_translator, folder / "model"))
    given = ["evaluate", model, str(folder), "--split", "val", "--robustness"]
    assert main(given) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["change", "changed", "bleu", "loss"]
    assert len(lines) == 1 + 1 + len(NOISE) + 1
    assert main([*given, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0]["change"] == "plain"
    assert {"changed", "bleu", "loss", "signature"} <= rows[0].keys()
