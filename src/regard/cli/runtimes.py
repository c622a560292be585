"""The choice of what computes a model."""

from __future__ import annotations

from typing import Annotated

import typer

from regard.cli.report import say_note

Runtime = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What computes the model: torch, or onnx, for which it is exported once. Torch unless given.",
    ),
]


def announce_export(model: str, runtime: str | None) -> None:
    """Say that the model will be exported before it can be used, where it will.

    Raises:
        ModelError: there is no such model.
        DependencyError: ``onnxruntime`` is not installed.
    """
    if runtime != "onnx":
        return
    from regard.bundle import find_bundle
    from regard.onnx import needs_export

    if needs_export(find_bundle(model)):
        say_note(f"exporting {model} to ONNX, once; this takes a while")
