"""``regard compare``: several recipes trained and measured, and one table that says how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regard.cli.command_echo import command_line, files, quoted
from regard.cli.commands.train import Cache
from regard.cli.memory import hold_memory
from regard.cli.options import AsJson, Device, Threads
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_json, echo_note, table

if TYPE_CHECKING:
    from regard.evaluation.compare import Entry
    from regard.evaluation.compare.captions import JudgedCaptions

PAGE = "comparison.md"


Recipes = Annotated[
    list[Path],
    typer.Argument(
        metavar="RECIPE|RUN|CAPTIONS...",
        help="Files, such as recipes/compare/*.yaml; finished runs; with --data captions.",
    ),
]
Output = Annotated[
    Path, typer.Option(metavar="FOLDER", help="Where the runs lie, each in a folder that is named as its recipe.")
]
Page = Annotated[
    Path | None,
    typer.Option(
        "--markdown", metavar="FILE.md", help="Where the table goes, HTML and JSON beside it; in FOLDER unless given."
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change every recipe, such as seed=1 or phases.0.epochs=3. Repeatable."
    ),
]


Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DATA",
        help="Compare captions from elsewhere (.jsonl as caption --output writes it, .txt) and models on these photos.",
    ),
]
Split = Annotated[str, typer.Option(metavar="NAME", help="The split of --data.")]
Seeds = Annotated[
    int,
    typer.Option(min=1, max=100, help="Train each recipe so often, each time with another seed, and show the mean."),
]


def compare(
    recipes: Recipes,
    output: Output = Path("runs/compare"),
    markdown: Page = None,
    changes: Changes = None,
    seeds: Seeds = 1,
    data: Data = None,
    split: Split = "dev",
    cache: Cache = None,
    device: Device = "cpu",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Train several models and write what each reached, in a table that says how it was measured.

    All recipes are checked before the first is trained. Runs that are done are used as they are, so the same command
    continues a comparison that was stopped.
    """
    hold_memory(training=True)
    import torch

    from regard.evaluation.compare import compare as measure
    from regard.evaluation.compare import read_candidates, write_comparison
    from regard.files import check_suffix

    if threads is not None:
        torch.set_num_threads(threads)
    page = output / PAGE if markdown is None else markdown
    check_suffix(page, [".md"])
    if data is not None:
        if changes or seeds > 1:
            raise typer.BadParameter("--data compares captions as they are, without --set and --seeds")
        options = {"--data": data, "--split": split, "--output": output, "--markdown": markdown}
        command = command_line("compare", quoted(recipes), options)
        judged = _judged_captions(recipes, data, split, device)
        _show_captions(judged, page, command, as_json=as_json)
        return
    with ShownProgress() as progress:
        candidates = read_candidates(recipes, output, changes or [], seeds=seeds)
        entries = measure(candidates, progress=progress, cache=cache, device=device)
    given_seeds = None if seeds == 1 else seeds
    options = {"--output": output, "--markdown": markdown, "--set": changes, "--seeds": given_seeds}
    values = write_comparison(entries, page, command=command_line("compare", files(recipes), options))
    if as_json:
        for each in values["models"]:
            echo_json(each)
    else:
        for line in table(_rows(entries, values["models"])):
            echo(line)
    echo_note(f"the whole table: {page}")


def _judged_captions(paths: Sequence[Path], data: Path, split: str, device: str) -> list[JudgedCaptions]:
    from regard.evaluation.compare.captions import compare_captions

    with ShownProgress() as progress:
        return compare_captions(paths, data, split, device=device, progress=progress)


def _show_captions(judged: Sequence[JudgedCaptions], page: Path, command: str, *, as_json: bool) -> None:
    """Write the page of captions from elsewhere, and print its first columns."""
    from regard.evaluation.compare.captions import write_caption_comparison

    values = write_caption_comparison(judged, page, command=command)
    rows = [(each["name"], f"{each['cider']:.1f}", f"{each['bleu4']:.1f}") for each in values]
    if as_json:
        for each in values:
            echo_json(each)
    else:
        for line in table([("captions", "CIDEr-D", "BLEU-4"), *rows]):
            echo(line)
    echo_note(f"the whole table: {page}")


def _rows(entries: Sequence[Entry], models: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    from regard.evaluation.compare.report import score_titles

    names = score_titles(entries[0].candidate.recipe)
    rows = [("model", "vector", *names.values(), "trained", "seconds")]
    for each in models:
        scores = (f"{each[score]:.1f}" for score in names)
        trained = each["parameters"]["trained"]
        rows.append((each["name"], str(each["vector"]), *scores, f"{trained:,}", f"{each['seconds']:,.0f}"))
    return rows
