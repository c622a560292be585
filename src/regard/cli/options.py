"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regard.cli.grouped_help import COMPUTING, OUTPUT, SEARCH
from regard.config import override

if TYPE_CHECKING:
    from regard.pipeline import SearchChanges

AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print JSON, one object a line, instead of lines for people.", rich_help_panel=OUTPUT),
]
Beam = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Beam width: hypotheses kept in the search; 1 is greedy; the model's own unless given.",
        rich_help_panel=SEARCH,
    ),
]
Alternatives = Annotated[
    int | None,
    typer.Option(min=0, help="How many other texts to give with the best; 3 unless given.", rich_help_panel=SEARCH),
]
Prefix = Annotated[str, typer.Option(metavar="TEXT", help="How the text must begin.", rich_help_panel=SEARCH)]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any option of the search, such as no_repeat=2, or samples=4 with temperature=0.8. Repeatable.",
        rich_help_panel=SEARCH,
    ),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Processor threads to use; all cores unless given.", rich_help_panel=COMPUTING)
]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Where the model computes: cpu, cuda, or auto for a GPU where there is one.",
        rich_help_panel=COMPUTING,
    ),
]
Save = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Also save: to a page (.html), a picture (.png) or data (.json), or all of them for each in a folder.",
        rich_help_panel=OUTPUT,
    ),
]


def search_changes(beam: int | None, assignments: Sequence[str] | None) -> SearchChanges:
    """What the options ``--beam`` and ``--set`` change in a model's own search; values are checked where they are used.

    Raises:
        ConfigError: an assignment is none, or there is no such option.
    """
    from regard.pipeline import search_changes as checked

    return checked(override({} if beam is None else {"beam": beam}, assignments or []))
