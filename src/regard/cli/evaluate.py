"""``regard evaluate``: a model scored as its users meet it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regard.cli.bars import Bars
from regard.cli.options import AsJson, Beam, Changes, Precision, Shortlist, Threads, search_changes
from regard.cli.report import say, say_json, table
from regard.cli.runtimes import Runtime, announce_export

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model by name, or the folder of a model or a run.")]
Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="Captioned images as in Flickr8k, or sentences as in Multi30k.")
]
Split = Annotated[str, typer.Option(metavar="NAME", help="The split to score, such as dev or test.")]
Meteor = Annotated[bool, typer.Option("--meteor", help="Score captions with METEOR too, which needs Java.")]


def evaluate(
    model: Model,
    data: Data,
    split: Split,
    beam: Beam = None,
    changes: Changes = None,
    meteor: Meteor = False,
    threads: Threads = None,
    runtime: Runtime = None,
    precision: Precision = "float32",
    shortlist: Shortlist = False,
    as_json: AsJson = False,
) -> None:
    """Score a model on a split by real search on real inputs; scores are × 100 and come with their signature."""
    from regard.evaluation import evaluate as score
    from regard.pipeline import load

    search = search_changes(beam, changes)
    announce_export(model, runtime)
    loaded = load(model, threads=threads, runtime=runtime, precision=precision, shortlist=shortlist)
    with Bars() as bars:
        scores = score(loaded, data, split, meteor=meteor, progress=bars, **search)
    if as_json:
        say_json(scores)
        return
    rows = [(name, f"{value:.2f}" if isinstance(value, float) else str(value)) for name, value in scores.items()]
    for line in table(rows):
        say(line)
