"""The folder of an exported model, and the cache of models that were exported on the way to running them.

    encoder.onnx, decoder.onnx    the two graphs (see :mod:`regard.saved.onnx.graphs`)
    config.json, …                what a saved model has beside its weights (see :mod:`regard.saved.bundle`)

It is all that it takes to use the model, here or with another program that runs ONNX.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor

from regard.errors import ModelError
from regard.files import CACHE_VARIABLE, cache_folder, keep_until_exit, new_folder, resolve_folder
from regard.model import EncoderDecoder, ModelSettings
from regard.saved.bundle import (
    BEST,
    ENCODER_FILE,
    STEP_FILE,
    Bundle,
    build_model,
    is_exported,
    load_bundle,
    read_texts,
    write_texts,
)
from regard.saved.manifest import write_manifest
from regard.saved.onnx.graphs import PURPOSE as WRITING
from regard.saved.onnx.graphs import example_inputs, export_graphs
from regard.saved.onnx.packages import package
from regard.saved.onnx.running import PURPOSE as RUNNING
from regard.saved.onnx.running import run_graphs

TOLERANCE = 1e-4
"""How far numbers of a graph may be from torch's, as a share of the largest, or of 1 where that is less."""
CHECKED = ((1, 1, 1), (3, 5, 7), (2, 1, 4))
"""Batch, rows and tokens of a source with which graphs are compared with torch."""
STEPS = 3
LAYOUT = 1
"""Counts the forms that exports have had."""


def needs_export(folder: Path) -> bool:
    """Whether :func:`load_onnx` would export the model in ``folder`` first.

    Raises:
        DependencyError: ``onnxruntime`` is not installed.
    """
    package("onnxruntime", purpose=RUNNING)
    return not is_exported(folder) and not is_exported(cached_export(folder))


def default_place(model: Path) -> Path:
    """Where the export of the model in a folder goes by default: beside whatever the user is at."""
    folder = model.resolve()
    return Path(f"{folder.parent.name if folder.name == BEST else folder.name}-onnx")


def export_onnx(model: Path, folder: Path) -> float:
    """Write a saved model as ONNX graphs, in place of an export that lies there, and compare them with torch.

    Args:
        model: the folder of a saved model.
        folder: where the export goes.

    Returns:
        The largest difference that was found, as in :data:`TOLERANCE`.

    Raises:
        DependencyError: a package of the extra ``onnx`` is not installed.
        ModelError: the model cannot be used, the folder cannot be written or holds something else, or the exporter
            cannot follow the model.
    """
    if is_exported(model):
        raise ModelError(f"{model}: is an exported model already")
    if folder.exists() and not is_exported(folder):
        raise ModelError(f"{folder}: is there already and is no exported model", remedy="choose another folder")
    bundle = load_bundle(model)
    with new_folder(folder) as temporary:
        return _write(bundle, temporary)


def load_onnx(folder: Path) -> Bundle:
    """Read a model whose parts are ONNX graphs; a saved model is exported first, once, to the cache.

    Args:
        folder: of an exported or of a saved model.

    Raises:
        DependencyError: a package of the extra ``onnx`` is not installed.
        ModelError: a file is missing or damaged, the exporter cannot follow the model, or the cache cannot be written.
    """
    package("onnxruntime", purpose=RUNNING)
    exported = resolve_folder(folder if is_exported(folder) else _cached(folder))

    def build(settings: ModelSettings, writes: int, reads: int) -> EncoderDecoder:
        twin = build_model(settings, writes=writes, reads=reads, origin=exported, allocate=False)
        return run_graphs(twin, exported)

    return read_texts(exported, build)


def cached_export(folder: Path) -> Path:
    """Where the export of a saved model is kept: the name changes with every file of the model."""
    folder = resolve_folder(folder)
    digest = hashlib.sha256(repr([LAYOUT, metadata.version("regard"), metadata.version("torch")]).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(repr(path.relative_to(folder).as_posix()).encode())
            digest.update(path.read_bytes())
    return cache_folder() / "onnx" / f"{folder.name}-{digest.hexdigest()[:16]}"


def _cached(folder: Path) -> Path:
    """The export of a saved model, written now where it was not yet."""
    place = cached_export(folder)
    keep_until_exit(place.parent)
    if is_exported(place):
        return place
    # another process may be at the same: each writes to a name of its own, and the first to be done is kept
    own = place.with_name(f"{place.name}-{os.getpid()}")
    remedy = f"set {CACHE_VARIABLE} to a folder that can be written"
    with new_folder(own, remedy=remedy) as temporary:
        _write(load_bundle(folder), temporary)
    try:
        own.rename(place)
    except OSError as error:
        shutil.rmtree(own, ignore_errors=True)
        if not is_exported(place):
            raise ModelError(f"{place}: cannot be written ({error})", remedy=remedy) from None
    return place


def _write(bundle: Bundle, folder: Path) -> float:
    package("onnxruntime", purpose=WRITING)
    encoder, step = export_graphs(bundle.model)
    encoder.save(folder / ENCODER_FILE)
    step.save(folder / STEP_FILE)
    write_texts(bundle, folder, precision="float32")
    write_manifest(folder)
    difference = _difference(bundle.model, load_onnx(folder).model)
    if not difference <= TOLERANCE:
        raise ModelError(
            f"the graphs differ from the model by {difference:.1e}",
            allowed=f"{TOLERANCE:.0e}",
            remedy="use the model with torch",
        )
    return difference


def _difference(model: EncoderDecoder, graphs: EncoderDecoder) -> float:
    """The largest difference between a model and its graphs, on sizes unlike those that they were exported with."""
    found = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for batch, rows, source in CHECKED:
            inputs = example_inputs(model, batch, source).tensors.values()
            states = [each.decoder.start(each.annotate(*inputs), rows=rows) for each in (model, graphs)]
            for _ in range(STEPS):
                tokens = torch.randint(0, model.decoder.vocabulary_size, (batch, rows))
                steps = [each.decoder.step(state, tokens) for each, state in zip((model, graphs), states, strict=True)]
                found += [_apart(*(step.logits for step in steps)), _apart(*(step.weights for step in steps))]
                order = torch.randint(0, rows, (batch, rows))
                states = [step.state.reorder(order) for step in steps]
    # unlike that of Python, torch's maximum does not pass over what is no number
    return float(torch.tensor(found).max())


def _apart(expected: Tensor, given: Tensor) -> float:
    if expected.shape != given.shape:
        return float("inf")
    return float((expected - given).abs().max() / expected.abs().max().clamp_min(1))
