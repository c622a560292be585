"""docs/cli.md names every command and every option, because it is written from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from regard.cli.app import app
from regard.cli.reference import reference

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "docs/cli.md is out of date: make docs"


def test_every_command_is_on_the_page_and_takes_json() -> None:
    sections = {each.partition("\n")[0]: each for each in reference().split("\n## ")[1:]}
    names = {f"regard {name}" for name in commands(get_command(app))}
    assert names <= sections.keys()
    for name in names:
        assert "--json" in sections[name], f"{name} has no --json"


def commands(group: Any) -> Iterator[str]:
    """The names of all commands in a group, those of its groups included, without the groups themselves."""
    for name in group.commands:
        command = group.get_command(None, name)
        if hasattr(command, "commands"):
            yield from (f"{name} {each}" for each in commands(command))
        else:
            yield name
