"""How a model computes: an option of the command line for each field of :class:`regard.compute.ComputeOptions`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Annotated, Any

import typer

from regard.cli.grouped_help import COMPUTING
from regard.cli.options import Device, Threads
from regard.cli.report import echo_note
from regard.compute import ComputeOptions

Workers = Annotated[
    int,
    typer.Option(
        min=1,
        help="Processes that share the work and the threads, best one for each core. On two cores two are up to "
        "1.4 times as fast as one; they take two seconds to start, so they pay from some thousand inputs on.",
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
OPTIONS: dict[str, Any] = {
    "device": Device,
    "threads": Threads,
    "runtime": Runtime,
    "precision": Precision,
    "shortlist": Shortlist,
    "workers": Workers,
}
"""The option for each field."""

Command = Callable[..., None]


def with_compute_options(*, without: Collection[str] = ()) -> Callable[[Command], Command]:
    """Gives a command, as typer reads it, an option for each field in the place of its parameter ``computing``.

    Args:
        without: fields that make no sense for the command and keep their defaults.
    """
    offered = [field for field in fields(ComputeOptions) if field.name not in without]

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        parameters: list[inspect.Parameter] = []
        for own in signature.parameters.values():
            if own.name != "computing":
                parameters.append(own)
                continue
            for field in offered:
                parameters.append(own.replace(name=field.name, default=field.default, annotation=OPTIONS[field.name]))

        @functools.wraps(command)
        def run(**given: Any) -> None:
            computing = ComputeOptions(**{field.name: given.pop(field.name) for field in offered})
            command(**given, computing=computing)

        vars(run)["__signature__"] = signature.replace(parameters=parameters)
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def announce_export(model: str, computing: ComputeOptions) -> None:
    """Say that the model will be exported before it can be used, where it will.

    Raises:
        ModelError: there is no such model.
        DependencyError: ``onnxruntime`` is not installed.
    """
    if computing.runtime != "onnx":
        return
    from regard.saved.bundle import find_bundle
    from regard.saved.onnx import needs_export

    if needs_export(find_bundle(model)):
        echo_note(f"exporting {model} to ONNX, once; this takes a while")
