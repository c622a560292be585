"""The list of commands. Each is imported when it runs, or when the help of all of them is shown."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from regard.cli.option_groups import GroupedCommand
from regard.cli.report import echo
from regard.registry import Registry

COMMANDS: Registry[Callable[..., None] | typer.Typer] = Registry(
    "command",
    {
        "align": "regard.cli.commands.align:align",
        "cache": "regard.cli.commands.cache:cache",
        "calibrate": "regard.cli.commands.calibrate:calibrate",
        "caption": "regard.cli.commands.caption:caption",
        "classify": "regard.cli.commands.classify:classify",
        "compare": "regard.cli.commands.compare:compare",
        "data": "regard.cli.commands.data:data",
        "demo": "regard.cli.commands.demo:demo",
        "doctor": "regard.cli.commands.doctor:doctor",
        "evaluate": "regard.cli.commands.evaluate:evaluate",
        "explain": "regard.cli.commands.explain:explain",
        "export": "regard.cli.commands.export:export",
        "init": "regard.cli.commands.init:init",
        "lengths": "regard.cli.commands.lengths:lengths",
        "models": "regard.cli.commands.models:models",
        "serve": "regard.cli.commands.serve:serve",
        "shortlist": "regard.cli.commands.shortlist:shortlist",
        "train": "regard.cli.commands.train:train",
        "translate": "regard.cli.commands.translate:translate",
    },
)
"""The function of each command; a group of commands is an application of its own."""


class LazyGroup(TyperGroup):
    """The commands of :data:`COMMANDS`, and those that are added to the application."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        names: dict[str, Any] = dict.fromkeys(COMMANDS)
        self.commands = {**names, **self.commands}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One command; None where there is none of that name."""
        return _command(cmd_name) if cmd_name in COMMANDS else super().get_command(ctx, cmd_name)


def _command(name: str) -> Any:
    entry = COMMANDS[name]
    if isinstance(entry, typer.Typer):
        command: Any = get_group(entry)
    else:
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(cls=GroupedCommand)(entry)
        command = get_command(alone)
    command.name = name
    return command


app = typer.Typer(
    cls=LazyGroup,
    help="Describe a picture, translate a sentence, and show for every word where it looked.",
    add_completion=False,
    invoke_without_command=True,
    rich_markup_mode=None,  # plain help: it starts sooner, and pipes and narrow terminals read it as well
)


@app.callback()
def regard(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)
    ] = False,
) -> None:
    if show_version:
        echo(version("regard"))
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
