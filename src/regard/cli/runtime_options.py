"""How a model computes: options that several commands share, taken as one parameter."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from regard.cli.options import Device, Threads
from regard.cli.report import say_note

Workers = Annotated[
    int,
    typer.Option(
        min=1,
        help="Processes that share the work and the threads, best one for each core. On two cores two are up to "
        "1.4 times as fast as one; they take two seconds to start, so they pay from some thousand inputs on.",
    ),
]
Runtime = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What computes the model: torch, or onnx, for which it is exported once. Torch unless given.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="In which numbers the model computes: float32, or faster and nearly the same bfloat16 or int8.",
    ),
]
Shortlist = Annotated[
    bool,
    typer.Option(
        "--shortlist",
        help="Write each sentence in the pieces that its own most often become: faster, as good on the whole, with "
        "other words now and then.",
    ),
]


@dataclass(frozen=True)
class Computing:
    """How a captioner computes: what :func:`regard.pipeline.load_captioner` takes by these names."""

    threads: Threads = None
    device: Device = "cpu"
    workers: Workers = 1
    runtime: Runtime = None
    precision: Precision = "float32"


@dataclass(frozen=True)
class TranslatorComputing(Computing):
    """How a translator computes: what :func:`regard.pipeline.load_translator` takes by these names."""

    shortlist: Shortlist = False


def with_computing(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` as typer reads it: in the place of its parameter ``computing`` an option for each of its fields."""
    signature = inspect.signature(command, eval_str=True)
    kind: type[Computing] = signature.parameters["computing"].annotation
    options = inspect.signature(kind, eval_str=True).parameters.values()
    spread: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        own = parameter.name != "computing"
        spread += [parameter] if own else [option.replace(kind=parameter.kind) for option in options]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        computing = kind(**{each.name: given.pop(each.name) for each in fields(kind)})
        command(**given, computing=computing)

    vars(run)["__signature__"] = signature.replace(parameters=spread)
    run.__annotations__ = {option.name: option.annotation for option in spread}
    return run


def announce_export(model: str, computing: Computing) -> None:
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
        say_note(f"exporting {model} to ONNX, once; this takes a while")
