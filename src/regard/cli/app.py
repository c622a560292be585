"""The list of commands."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from regard.cli.commands.align import align
from regard.cli.commands.calibrate import calibrate
from regard.cli.commands.caption import caption
from regard.cli.commands.classify import classify
from regard.cli.commands.compare import compare
from regard.cli.commands.data import data
from regard.cli.commands.demo import demo
from regard.cli.commands.doctor import doctor
from regard.cli.commands.evaluate import evaluate
from regard.cli.commands.explain import explain
from regard.cli.commands.export import export
from regard.cli.commands.init import init
from regard.cli.commands.lengths import lengths
from regard.cli.commands.models import models
from regard.cli.commands.serve import serve
from regard.cli.commands.shortlist import shortlist
from regard.cli.commands.train import train
from regard.cli.commands.translate import translate
from regard.cli.grouped_help import GroupedCommand
from regard.cli.report import say

app = typer.Typer(
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
        say(version("regard"))
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command(cls=GroupedCommand)(align)
app.command(cls=GroupedCommand)(calibrate)
app.command(cls=GroupedCommand)(caption)
app.command(cls=GroupedCommand)(classify)
app.command(cls=GroupedCommand)(compare)
app.add_typer(data, name="data")
app.command(cls=GroupedCommand)(demo)
app.command(cls=GroupedCommand)(doctor)
app.command(cls=GroupedCommand)(evaluate)
app.command(cls=GroupedCommand)(explain)
app.command(cls=GroupedCommand)(export)
app.command(cls=GroupedCommand)(init)
app.command(cls=GroupedCommand)(lengths)
app.command(cls=GroupedCommand)(models)
app.command(cls=GroupedCommand)(serve)
app.command(cls=GroupedCommand)(shortlist)
app.command(cls=GroupedCommand)(train)
app.command(cls=GroupedCommand)(translate)
