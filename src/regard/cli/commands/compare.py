"""``regard compare``: several recipes trained and measured, and one table that says how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regard.cli.command_echo import command_line, files
from regard.cli.commands.train import Cache
from regard.cli.memory import hold_memory
from regard.cli.options import AsJson, Device, Threads
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_json, echo_note, table

if TYPE_CHECKING:
    from regard.evaluation.compare import Entry

PAGE = "comparison.md"


Recipes = Annotated[list[Path], typer.Argument(metavar="RECIPE...", help="Files, such as recipes/compare/*.yaml.")]
Output = Annotated[
    Path, typer.Option(metavar="FOLDER", help="Where the runs lie, each in a folder that is named as its recipe.")
]
Page = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE.md", help="Where the table goes, JSON beside it; in FOLDER unless given."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change every recipe, such as seed=1 or phases.0.epochs=3. Repeatable."
    ),
]


def compare(
    recipes: Recipes,
    output: Output = Path("runs/compare"),
    markdown: Page = None,
    changes: Changes = None,
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
    with ShownProgress() as progress:
        entries = measure(
            read_candidates(recipes, output, changes or []), progress=progress, cache=cache, device=device
        )
    options = {"--output": output, "--markdown": markdown, "--set": changes}
    values = write_comparison(entries, page, command=command_line("compare", files(recipes), options))
    if as_json:
        for each in values["models"]:
            echo_json(each)
    else:
        for line in table(_rows(entries, values["models"])):
            echo(line)
    echo_note(f"the whole table: {page}")


def _rows(entries: Sequence[Entry], models: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    from regard.evaluation.compare.report import SCORES

    names = SCORES[entries[0].candidate.recipe.data.format]
    rows = [("model", "vector", *names.values(), "trained", "seconds")]
    for each in models:
        scores = (f"{each[score]:.1f}" for score in names)
        trained = each["parameters"]["trained"]
        rows.append((each["name"], str(each["vector"]), *scores, f"{trained:,}", f"{each['seconds']:,.0f}"))
    return rows
