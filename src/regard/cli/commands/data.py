"""``regard data``: looking at data before a long training does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regard.cli.options import AsJson
from regard.cli.report import say, say_error, say_json, table

if TYPE_CHECKING:
    from regard.data.check import DataReport

data = typer.Typer(help="Look at data before a long training does.", rich_markup_mode=None)


@data.callback()
def _group() -> None:
    """With a callback, a lone command keeps its name."""


@data.command()
def check(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Captioned images as in Flickr8k, or sentences as in Multi30k.")
    ],
    images: Annotated[
        bool, typer.Option("--images", help="Also read every image in full: a minute for thousands.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Count what a data folder holds, and say what will stop or harm a training; if anything will, the status is 1."""
    from regard.data.check import check as look_through

    report = look_through(folder, decode_images=images)
    if as_json:
        say_json(_plain(report))
    else:
        for line in table(_rows(report)):
            say(line)
        for problem in report.problems:
            say_error(f"{folder}: {problem}")
    if report.problems:
        raise typer.Exit(1)


def _plain(report: DataReport) -> dict[str, object]:
    splits = [{"name": split.name, "count": split.count, **split.figures} for split in report.splits]
    problems = list(report.problems)
    return {"folder": str(report.folder), "kind": report.kind, "splits": splits, "problems": problems}


def _rows(report: DataReport) -> list[tuple[str, ...]]:
    unit = "images" if report.kind == "captions" else "sentences"
    figures = list(dict.fromkeys(name for split in report.splits for name in split.figures))
    rows = [
        (each.name, str(each.count), *(str(each.figures.get(name, "")) for name in figures)) for each in report.splits
    ]
    return [("split", unit, *(name.replace("_", " ") for name in figures)), *rows]
