"""``regard train``: data or a recipe become a model; stopped with Ctrl-C, the run goes on with the same command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regard.cli.memory import hold_memory
from regard.cli.options import AsJson, Device, Threads
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_json
from regard.progress import SILENT, Progress

if TYPE_CHECKING:
    from regard.training.defaults import Choice
    from regard.training.loop import Outcome

What = Annotated[
    Path,
    typer.Argument(
        metavar="DATA|RECIPE|RUN",
        help="Data (see docs/data.md), for which a recipe is chosen; a recipe, such as recipes/flickr8k.yaml; or the "
        "folder of a run, which goes on.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="The folder of the run; runs/NAME of the recipe or the data unless given."),
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
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="NAME",
        help="Begin from this model, or from nothing. Data begin from the model that ships for such, unless given.",
    ),
]
Source = Annotated[str | None, typer.Option(metavar="LANGUAGE", help="Of sentence pairs, what is read.")]
Target = Annotated[str | None, typer.Option(metavar="LANGUAGE", help="Of sentence pairs, what is written.")]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, help="Epochs of the last phase, in all; a run that is done goes on where it had fewer."),
]
DropWords = Annotated[
    bool, typer.Option("--drop-words", help="Forget words of the model to begin from that the data do not hold.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse data with problems; otherwise those are left out.")]


def train(
    what: What,
    output: Output = None,
    changes: Changes = None,
    begin_from: From = None,
    drop_words: DropWords = False,
    source: Source = None,
    target: Target = None,
    epochs: Epochs = None,
    strict: Strict = False,
    cache: Cache = None,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Train a model. Ctrl-C stops the run, the same command continues it; the best model so far is in FOLDER/best."""
    hold_memory(training=True)
    import torch

    from regard.compute import resolve_device
    from regard.evaluation.samples import draw_samples
    from regard.training.defaults import NOTHING
    from regard.training.distributed import is_first, process_group
    from regard.training.recipe import read_recipe
    from regard.training.run import RECIPE
    from regard.training.run import train as run

    if threads is not None:
        torch.set_num_threads(threads)
    own = ["data.strict=true"] * strict + ["keep_words=false"] * drop_words
    with process_group(resolve_device(device)), ShownProgress() as shown:
        progress: Progress = shown if is_first() else SILENT
        if is_recipe(what) or (what / RECIPE).is_file():
            path, folder = (what, output) if is_recipe(what) else (what / RECIPE, output or what)
            begins = [f"begin_from={'null' if begin_from == NOTHING else begin_from}"] * (begin_from is not None)
            recipe = read_recipe(path, [*begins, *own])
        else:
            choice = chosen(what, begin_from, source, target)
            for reason in choice.reasons:
                progress.log(reason)
            recipe, folder = choice.recipe, output
        longer = [] if epochs is None else [f"phases.{len(recipe.phases) - 1}.epochs={epochs}"]
        assignments = [*own, *longer, *(changes or ())]
        outcome = run(
            recipe, folder, assignments, progress=progress, cache=cache, device=device, draw_samples=draw_samples
        )
        if is_first():
            echo_outcome(outcome, as_json=as_json)


def echo_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """What a run has reached."""
    if as_json:
        reached = {"metric": outcome.metric, "best": outcome.best, "best_epoch": outcome.best_epoch}
        echo_json({"folder": str(outcome.folder), **reached, "seconds": outcome.seconds})
    else:
        minutes = f"{outcome.seconds / 60:.0f} minutes"
        echo(f"{outcome.folder}: {outcome.metric} {outcome.best:.2f} after epoch {outcome.best_epoch}, {minutes}")


def is_recipe(path: Path) -> bool:
    """Whether a path is meant as a recipe, there or not."""
    return path.suffix.lower() in (".yaml", ".yml")


def chosen(data: Path, begin_from: str | None, source: str | None, target: str | None) -> Choice:
    """The recipe that fits data; see :func:`regard.training.defaults.choose_recipe`."""
    from regard.training.defaults import choose_recipe

    return choose_recipe(data, begin_from=begin_from, source=source, target=target)
