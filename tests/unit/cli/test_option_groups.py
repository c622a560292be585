"""A group of options is one parameter of a command and several options of its command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.testing import CliRunner

from regard.cli.option_groups import with_option_groups

Size = Annotated[int, typer.Option(min=1)]
Name = Annotated[str, typer.Option("--called")]


@dataclass(frozen=True, kw_only=True)
class Base:
    size: Size = 3


@dataclass(frozen=True, kw_only=True)
class Group(Base):
    name: Name = "none"
    hidden: Size = 7


def test_a_command_gets_its_groups_whole() -> None:
    given: list[Any] = []
    app = typer.Typer()

    @app.command()
    @with_option_groups(without=["hidden"])
    def command(text: str, *, group: Group, last: bool = False) -> None:
        given.append((text, group, last))

    assert CliRunner().invoke(app, ["a", "--size", "2", "--called", "b", "--last"]).exit_code == 0
    assert CliRunner().invoke(app, ["a"]).exit_code == 0
    assert given == [("a", Group(size=2, name="b"), True), ("a", Group(), False)]
    assert CliRunner().invoke(app, ["a", "--size", "0"]).exit_code == 2
    assert CliRunner().invoke(app, ["a", "--hidden", "1"]).exit_code == 2
