"""``regard evaluate``: a model scored as its users meet it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from regard.cli.compute_options import announce_export, with_compute_options
from regard.cli.options import AsJson, Beam, Changes, search_changes
from regard.cli.progress import ShownProgress
from regard.cli.report import say, say_json, table
from regard.compute import ComputeOptions

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model by name, or the folder of a model or a run.")]
Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="Captioned images as in Flickr8k or COCO, or sentences as in Multi30k.")
]
Split = Annotated[str, typer.Option(metavar="NAME", help="The split to score, such as dev or test.")]
Meteor = Annotated[bool, typer.Option("--meteor", help="Score captions with METEOR too, which needs Java.")]


@with_compute_options()
def evaluate(
    model: Model,
    data: Data,
    split: Split,
    beam: Beam = None,
    changes: Changes = None,
    meteor: Meteor = False,
    *,
    computing: ComputeOptions,
    as_json: AsJson = False,
) -> None:
    """Score a model on a split by real search on real inputs; scores are × 100 and come with their signature."""
    from regard.evaluation.evaluate import evaluate as score
    from regard.pipeline import load

    search = search_changes(beam, changes)
    announce_export(model, computing)
    with load(model, **asdict(computing)) as loaded, ShownProgress() as progress:
        scores = score(loaded, data, split, meteor=meteor, progress=progress, **search)
    if as_json:
        say_json(scores)
        return
    for line in table([(name, _readable(value)) for name, value in scores.items()]):
        say(line)


def _readable(value: float | str | bool) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.2f}"
        case _:
            return str(value)
