"""A command line that a shell reads back as what was given."""

from __future__ import annotations

import shlex
from pathlib import Path

from regard.cli.command_echo import command_line, files, quoted


def test_a_shell_reads_back_what_was_given() -> None:
    options = {"--data": Path("my data"), "--beam": None, "--joined": 3, "--set": ["a=1", "b=it's"], "--empty": []}
    line = command_line("lengths", quoted(["first model", "second"]), options)
    expected = "lengths|first model|second|--data|my data|--joined|3|--set|a=1|--set|b=it's"
    assert shlex.split(line) == ["regard", *expected.split("|")]


def test_all_recipes_of_a_folder_are_a_pattern_and_some_of_them_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "my recipes"
    folder.mkdir()
    paths = [folder / name for name in ("a.yaml", "b.yaml", "c.yaml")]
    for path in paths:
        path.touch()
    assert files(paths[::-1]) == [f"'{folder}'/*.yaml"]
    assert files(paths[:2]) == [f"'{folder}/a.yaml'", f"'{folder}/b.yaml'"]
    paths[0].unlink()
    assert files(paths[:1]) == quoted(paths[:1])
