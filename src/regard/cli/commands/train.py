"""``regard train``: a recipe becomes a model; stopped with Ctrl-C, it goes on with the same command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regard.cli.memory import hold_memory
from regard.cli.options import AsJson, Device, Threads
from regard.cli.progress import ShownProgress
from regard.cli.report import say, say_json

Recipe = Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML file, such as recipes/flickr8k.yaml.")]
Output = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="The folder of the run; runs/NAME of the recipe unless given.")
]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Where features of frozen encoders are kept; a folder all runs share unless given."
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe, such as phases.0.optim.lr=3e-4. Repeatable."),
]


def train(
    recipe: Recipe,
    output: Output = None,
    changes: Changes = None,
    cache: Cache = None,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Train a model. Ctrl-C stops the run, the same command continues it; the best model so far is in FOLDER/best."""
    hold_memory(training=True)
    import torch

    from regard.training.run import train as run

    if threads is not None:
        torch.set_num_threads(threads)
    with ShownProgress() as progress:
        outcome = run(recipe, output, changes or (), progress=progress, cache=cache, device=device)
    if as_json:
        reached = {"metric": outcome.metric, "best": outcome.best, "best_epoch": outcome.best_epoch}
        say_json({"folder": str(outcome.folder), **reached, "seconds": outcome.seconds})
    else:
        minutes = f"{outcome.seconds / 60:.0f} minutes"
        say(f"{outcome.folder}: {outcome.metric} {outcome.best:.2f} after epoch {outcome.best_epoch}, {minutes}")
