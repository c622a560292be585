"""``regard shortlist`` stores a lexicon, and ``--shortlist`` uses it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from regard.cli import main
from regard.cli.commands.shortlist import shortlist
from regard.evaluation.lexicon import ListSizes
from regard.saved.bundle import Bundle, save_bundle


@pytest.fixture
def model(tiny_translator: Bundle, tmp_path: Path) -> str:
    return str(save_bundle(tiny_translator, tmp_path / "model"))


def test_a_lexicon_is_made_and_used(
    model: str, parallel_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", "A dog.", "--model", model, "--shortlist"]) == 1
    assert capsys.readouterr().err == (
        "error: the model has no lexicon to choose a shortlist from; make one from its training pairs with "
        "regard shortlist, or go without\n"
    )
    output = str(tmp_path / "with")
    command = ["shortlist", model, str(parallel_folder), "--output", output, "--check", "val", "--most", "4"]
    assert main([*command, "--frequent", "20"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{output}: written, with a lexicon of ")
    assert second.startswith("val: ")
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.keys() == {"folder", "bytes", "split", "covered", "length"}
    assert main(["translate", "A dog.", "--model", output, "--shortlist"]) == 0
    data = str(parallel_folder)
    assert main(["evaluate", output, data, "--split", "train", "--shortlist", "--json"]) == 0
    assert main([*command[:5]]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_usual_sizes_are_those_of_the_library() -> None:
    usual = {name: each.default for name, each in inspect.signature(shortlist).parameters.items()}
    assert ListSizes(usual["most"], usual["frequent"]) == ListSizes()


def test_a_captioner_has_none(parallel_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shortlist", "flickr8k", str(parallel_folder), "--output", str(tmp_path / "with")]) == 1
    assert "is a captioner; allowed: a model that translates sentences" in capsys.readouterr().err
