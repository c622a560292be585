"""``regard export``: a model in a form that other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regard.cli.options import AsJson
from regard.cli.report import echo, echo_json

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model by name, or the folder of a model or a run.")]
Onnx = Annotated[bool, typer.Option("--onnx", help="As two ONNX graphs: the encoder and one step of the decoder.")]
Output = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Where it goes; MODEL-onnx in this folder unless given.")
]


def export(model: Model, onnx: Onnx = False, output: Output = None, as_json: AsJson = False) -> None:
    """Write a model as ONNX graphs, with all that it takes to use them, and check that they say what the model says.

    The attention weights are among the outputs of a step. The folder is itself a model: caption, translate and
    evaluate take it as one.
    """
    from regard.saved.bundle import find_bundle
    from regard.saved.onnx import default_place, export_onnx

    if not onnx:
        raise typer.BadParameter("say in which form: --onnx is the only one")
    folder = find_bundle(model)
    place = output or default_place(folder)
    difference = export_onnx(folder, place)
    if as_json:
        sizes = {path.name: path.stat().st_size for path in sorted(place.glob("*.onnx*"))}
        echo_json({"folder": str(place), "bytes": sizes, "difference": difference})
    else:
        echo(f"{place}: written, and equal to the model within {difference:.1e}")
