"""``regard lengths``: BLEU as sentences grow, of several translators on the same data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from regard.cli.command_echo import command_line, quoted
from regard.cli.option_groups import with_option_groups
from regard.cli.options import AsJson, Computing, Search
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_json, echo_note, table
from regard.errors import ConfigError

Models = Annotated[list[str], typer.Argument(metavar="MODEL...", help="Translators by name, or folders of runs.")]
Data = Annotated[Path, typer.Option(metavar="FOLDER", help="Sentences in two languages, as in Multi30k.")]
Split = Annotated[str, typer.Option(metavar="NAME", help="The split to translate, such as val.")]
Joined = Annotated[
    int, typer.Option(min=1, help="Also join neighbouring sentences, up to so many in one, for longer ones.")
]
Bins = Annotated[
    str | None,
    typer.Option(metavar="N,N,...", help="The most words of each row but the last.", show_default="10,20,…,60"),
]
Page = Annotated[
    Path | None, typer.Option("--markdown", metavar="FILE.md", help="Also write a page with a chart, JSON beside it.")
]


@with_option_groups(without=["alternatives", "prefix", "runtime", "precision", "shortlist", "workers"])
def lengths(
    models: Models,
    data: Data,
    split: Split,
    joined: Joined = 1,
    bins: Bins = None,
    markdown: Page = None,
    *,
    search: Search,
    computing: Computing,
    as_json: AsJson = False,
) -> None:
    """Score translators by the length of the source: a row for each range of words, with confidence intervals."""
    from regard.evaluation.lengths import BINS, lengths_table, measure_lengths, plain_bins, write_lengths
    from regard.files import check_suffix
    from regard.pipeline import load_translator

    changes = search.changes()
    edges = BINS if bins is None else _edges(bins)
    if markdown is not None:
        check_suffix(markdown, [".md"])
    translators = {name: load_translator(model, **asdict(computing)) for name, model in _short_names(models).items()}
    with ShownProgress() as progress:
        curves = measure_lengths(translators, data, split, joined=joined, bins=edges, progress=progress, **changes)
    if as_json:
        for curve in curves:
            echo_json({"name": curve.name, "bins": plain_bins(curve)})
    else:
        head, rows = lengths_table(curves)
        for line in table([tuple(cells) for cells in [head, *rows]]):
            echo(line)
    if markdown is not None:
        options = {
            "--data": data,
            "--split": split,
            "--joined": joined,
            "--bins": bins,
            "--beam": search.beam,
            "--set": search.assignments,
        }
        command = command_line("lengths", quoted(models), {**options, "--markdown": markdown})
        write_lengths(curves, markdown, command=command, data=data, split=split, joined=joined)
        echo_note(f"the page: {markdown}")


def _edges(text: str) -> list[int]:
    parts = text.split(",")
    edges = [int(part) for part in parts if part.strip().isdecimal()]
    if len(edges) != len(parts) or edges != sorted(set(edges)) or edges[0] < 1:
        raise ConfigError(f"--bins {text!r} are no bins", allowed="growing numbers of words, such as 10,20,30")
    return edges


def _short_names(models: Sequence[str]) -> dict[str, str]:
    """Each model once, by the last part of its path where that tells it from the others."""
    chosen = list(dict.fromkeys(models))
    last = [Path(model).name for model in chosen]
    return {short if last.count(short) == 1 else model: model for short, model in zip(last, chosen, strict=True)}
