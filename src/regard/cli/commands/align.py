"""``regard align``: which word came from which, for translations that are given."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regard.cli.option_groups import OUTPUT, with_option_groups
from regard.cli.options import AsJson, Computing
from regard.cli.progress import ShownProgress
from regard.cli.report import echo, echo_json, echo_note
from regard.errors import ConfigError

if TYPE_CHECKING:
    from regard.evidence.aligner import Symmetry

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A translator by name, or the folder of a model or a run.")]
Data = Annotated[Path, typer.Argument(metavar="DATA", help="A folder of sentences in two languages, as in Multi30k.")]
Split = Annotated[str, typer.Option(metavar="NAME", help="The split to align, such as val.")]
Gold = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Links made by people, in the same format; measures the alignment error rate."),
]
Reverse = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="A translator of the other direction, whose links are united with the first's."),
]
Symmetrise = Annotated[
    str, typer.Option(metavar="NAME", help="How two directions are united: intersection, union or grow-diag-final.")
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="SPLIT",
        help="Without people's links: measure against an IBM-2 aligner learned from this split and the aligned one.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the links there, not to standard output.", rich_help_panel=OUTPUT),
]


Tokens = Annotated[
    str, typer.Option(metavar="NAME", help="What is counted as words: what stands between spaces, or 13a tokens.")
]


@with_option_groups(without=["runtime", "precision", "shortlist", "workers"])
def align(
    model: Model,
    data: Data,
    split: Split,
    gold: Gold = None,
    reverse: Reverse = None,
    symmetrise: Symmetrise = "intersection",
    against: Against = None,
    output: Output = None,
    tokens: Tokens = "spaces",
    *,
    computing: Computing,
    as_json: AsJson = False,
) -> None:
    """Align the words of given translations by attention, in Pharaoh format: 3-5 links source word 3 with target word
    5, counted from 0 and divided by spaces; ? in place of - marks a possible link of a gold file."""
    from regard.evaluation.align import align as align_split
    from regard.files import write_file
    from regard.metrics import format_pharaoh
    from regard.pipeline import load_translator

    symmetry = _symmetry(symmetrise)
    if gold is not None and against is not None:
        raise ConfigError("--gold and --against are both given", remedy="leave one of them out")
    with (
        load_translator(model, **asdict(computing)) as translator,
        ShownProgress(beside_results=output is None) as progress,
    ):
        aligned = align_split(
            translator,
            data,
            split,
            gold=gold,
            tokens=tokens,
            reverse=reverse,
            symmetry=symmetry,
            learned_from=against,
            progress=progress,
        )
    lines = [format_pharaoh(links) for links in aligned.links]
    if output is not None:
        write_file(output, "".join(f"{line}\n" for line in lines).encode())
    elif as_json:
        for line in lines:
            echo_json({"alignment": line})
    else:
        for line in lines:
            echo(line)
    if aligned.error_rate is None:
        return
    if as_json:
        echo_json({"split": split, "count": len(lines), "aer": round(100 * aligned.error_rate, 4)})
    elif output is not None:
        echo(f"alignment error rate {100 * aligned.error_rate:.2f}")
    else:
        echo_note(f"alignment error rate {100 * aligned.error_rate:.2f}")


def _symmetry(name: str) -> Symmetry:
    match name:
        case "intersection" | "union" | "grow-diag-final":
            return name
        case _:
            raise ConfigError(f"--symmetrise {name}", allowed="intersection, union, grow-diag-final")
