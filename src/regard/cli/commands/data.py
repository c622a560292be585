"""``regard data``: looking at data before a long training does, and writing them in another layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regard.cli.options import AsJson
from regard.cli.report import echo, echo_error, echo_json, table

if TYPE_CHECKING:
    from regard.data.check import DataReport

MOST_SHOWN = 20
"""How many problems are printed, unless as JSON."""

data = typer.Typer(help="Look at data before a long training does, and convert them.", rich_markup_mode=None)

Data = Annotated[
    Path,
    typer.Argument(metavar="DATA", help="A folder or a table of captioned images or of sentences; see docs/data.md."),
]


@data.command()
def check(
    path: Data,
    images: Annotated[
        bool, typer.Option("--images", help="Also decode every image in full: a minute for thousands.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Count what data hold, and say what will stop or harm a training; if anything will, the status is 1."""
    from regard.data.check import check as look_through

    report = look_through(path, decode_images=images)
    if as_json:
        echo_json(_plain(report))
    else:
        for line in _lines(report):
            echo(line)
        for problem in report.problems[:MOST_SHOWN]:
            echo_error(problem)
        if len(report.problems) > MOST_SHOWN:
            echo_error(f"{path}: {len(report.problems) - MOST_SHOWN} more problems; --json lists all")
    if report.problems:
        raise typer.Exit(1)


def _plain(report: DataReport) -> dict[str, object]:
    splits = [{"name": split.name, "count": split.count, **split.figures} for split in report.splits]
    return {
        "path": str(report.path),
        "kind": report.kind,
        "format": report.format,
        "splits": splits,
        "drawn": list(report.drawn),
        "minimum_count": report.minimum_count,
        "problems": [problem.to_dict() for problem in report.problems],
    }


def _lines(report: DataReport) -> Iterator[str]:
    unit = "images" if report.kind == "captions" else "sentences"
    figures = list(dict.fromkeys(name for split in report.splits for name in split.figures))
    rows = [
        (each.name, str(each.count), *(f"{each.figures.get(name, '')}" for name in figures)) for each in report.splits
    ]
    yield f"{report.path}: {report.format}"
    yield from table([("split", unit, *(name.replace("_", " ") for name in figures)), *rows])
    if report.drawn:
        yield f"drawn, because the data do not have them: {', '.join(report.drawn)}"
    if report.minimum_count > 1:
        yield (
            f"words that stand less than {report.minimum_count} times in the training captions are unknown; "
            "--set data.minimum_count=1 learns all"
        )


@data.command()
def convert(
    path: Data,
    to: Annotated[
        str, typer.Option("--to", metavar="LAYOUT", help="flickr8k, coco, csv or parquet; sentences: csv or parquet.")
    ],
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder; images are linked or copied into it.")],
    seed: Annotated[int, typer.Option(min=0, help="Of splits that the data do not have, which are drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write data in another layout, splits and all. What cannot be used is left out; then the status is 1."""
    from regard.data.convert import convert as write

    conversion = write(path, to, output, seed=seed)
    if as_json:
        left_out = [problem.to_dict() for problem in conversion.left_out]
        echo_json({"folder": str(output), "counts": dict(conversion.counts), "left_out": left_out})
    else:
        counts = ", ".join(f"{split} {count:,}" for split, count in conversion.counts.items())
        echo(f"{output}: {counts}")
    for problem in conversion.left_out[:MOST_SHOWN]:
        echo_error(f"left out: {problem}")
    if conversion.left_out:
        raise typer.Exit(1)
