"""docs/cli.md names every command and every option, because it is written from them."""

from __future__ import annotations

from pathlib import Path

from regard.cli.app import app
from regard.cli.reference import reference

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "docs/cli.md is out of date: make docs"


def test_every_command_is_on_the_page_and_takes_json() -> None:
    sections = reference().split("\n## ")[2:]
    for each in app.registered_commands:
        name = each.name or each.callback.__name__
        matching = [section for section in sections if section.startswith(f"regard {name}\n")]
        assert len(matching) == 1, f"regard {name} is not in the reference"
        assert "--json" in matching[0]
