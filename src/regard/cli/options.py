"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regard.cli.option_groups import COMPUTING, OUTPUT, SEARCH
from regard.cli.report import echo_note
from regard.cli.saving import Saver
from regard.compute import ComputeOptions
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
Runtime = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Inference runtime: torch, or onnx, for which the model is exported once; torch unless given.",
        rich_help_panel=COMPUTING,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Numeric precision of the model: float32, or the faster bfloat16 or int8 with nearly the same results.",
        rich_help_panel=COMPUTING,
    ),
]
Shortlist = Annotated[
    bool,
    typer.Option(
        "--shortlist",
        help="Restrict the vocabulary to a lexical shortlist for each sentence: faster, as good on the whole, with "
        "other words now and then.",
        rich_help_panel=COMPUTING,
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        min=1,
        help="Processes that share the work and the threads, best one for each core. On two cores two are up to "
        "1.4 times as fast as one; they take two seconds to start, so they pay from some thousand inputs on.",
        rich_help_panel=COMPUTING,
    ),
]
Ray = Annotated[
    bool,
    typer.Option(
        "--ray",
        help="With --output, share the work among the machines of a Ray cluster ($RAY_ADDRESS, or a local one), each "
        "with its cores or --workers in all; see docs/scale.md.",
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


@dataclass(frozen=True, kw_only=True)
class Search:
    """How a command searches."""

    beam: Beam = None
    alternatives: Alternatives = None
    prefix: Prefix = ""
    assignments: Changes = None

    def assigned(self) -> dict[str, Any]:
        """The options that ``--beam`` and ``--set`` give, unchecked.

        Raises:
            ConfigError: an assignment is none.
        """
        return override({} if self.beam is None else {"beam": self.beam}, self.assignments or [])

    def query(self) -> dict[str, Any]:
        """All options as a service takes them, None where none is given.

        Raises:
            ConfigError: an assignment is none.
        """
        return {**self.assigned(), "prefix": self.prefix or None, "alternatives": self.alternatives}

    def changes(self) -> SearchChanges:
        """What they change in a model's own search; values are checked where they are used.

        Raises:
            ConfigError: an assignment is none, or there is no such option.
        """
        from regard.pipeline import search_changes

        return search_changes(self.assigned())


@dataclass(frozen=True, kw_only=True)
class Computing(ComputeOptions):
    """How a command's model computes, with an option for each field."""

    device: Device
    threads: Threads
    runtime: Runtime
    precision: Precision
    shortlist: Shortlist
    workers: Workers

    def announce_export(self, model: str) -> None:
        """Say that the model will be exported before it can be used, where it will.

        Raises:
            ModelError: there is no such model.
            DependencyError: ``onnxruntime`` is not installed.
        """
        if self.runtime != "onnx":
            return
        from regard.saved.bundle import find_bundle
        from regard.saved.onnx import needs_export

        if needs_export(find_bundle(model)):
            echo_note(f"exporting {model} to ONNX, once; this takes a while")


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where a command's results go besides standard output, and in what form."""

    save: Save = None
    as_json: AsJson = False

    def saver(self, count: int) -> Saver | None:
        """What saves ``count`` results; None where nothing is to be saved."""
        return None if self.save is None else Saver(self.save, count=count)
