"""From a saved model to results: :func:`load` gives a captioner or a translator."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import torch

from regard.devices import resolve_device
from regard.errors import ConfigError, ModelError, unknown_name
from regard.ops.linear import InferencePrecision
from regard.parallel.workers import Loading, Workers
from regard.pipeline.captioner import Captioner
from regard.pipeline.options import SearchChanges, search_changes
from regard.pipeline.pivot import translate_caption
from regard.pipeline.translator import Translator
from regard.saved.bundle import find_bundle, load_bundle
from regard.saved.onnx import is_exported, load_onnx

RUNTIMES = ("torch", "onnx")
"""What can compute a model."""
WORKERS_A_CORE = 4
"""More processes than that on a core are surely not meant, and could fill the memory."""

__all__ = [
    "RUNTIMES",
    "Captioner",
    "SearchChanges",
    "Translator",
    "load",
    "load_captioner",
    "load_translator",
    "search_changes",
    "translate_caption",
]


def load(
    name_or_path: str | os.PathLike[str],
    *,
    threads: int | None = None,
    device: str = "cpu",
    runtime: str | None = None,
    precision: str = "float32",
    shortlist: bool = False,
    workers: int = 1,
) -> Captioner | Translator:
    """Load a model.

    Args:
        name_or_path: the name of a model that ships with the package, such as ``flickr8k``; or the folder of a saved
            model, of a training run or of an exported model.
        threads: how many processor threads torch may use, in this whole process; None leaves that as it is.
        device: where the model computes: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
        runtime: what computes it, ``torch`` or ``onnx``; None for torch, or for onnx where the model is an exported
            one. A model that is not exported yet is exported once, to the cache, when ``onnx`` is asked for.
        precision: in which numbers products are taken: ``float32``, or with less time and nearly the same results
            ``bfloat16`` or ``int8``, see :class:`regard.pipeline.engine.Engine`.
        shortlist: of a translator, whether it writes in likely pieces alone, see
            :class:`regard.pipeline.translator.Translator`.
        workers: how many processes share work of more than one batch, each with the same model and its part of the
            threads; 1 for this process alone. They start with the first such work, and end with the model.

    Raises:
        ModelError: there is no such model, it is damaged, it cannot be exported, or it has no shortlists.
        ConfigError: ``threads``, ``device``, ``runtime``, ``precision`` or ``workers`` cannot be used.
        DependencyError: the packages of the extra ``onnx`` are not installed.
    """
    if threads is not None:
        if threads < 1:
            raise ConfigError(f"{threads} threads", allowed="1 or more")
        torch.set_num_threads(threads)
    device = str(resolve_device(device))
    folder = find_bundle(name_or_path)
    numbers, graphs = _known_precision(precision), _runs_graphs(folder, runtime, device)
    if graphs and numbers != "float32":
        raise ConfigError(f"the runtime onnx with precision {precision!r}", allowed="float32, or the runtime torch")
    _check_workers(workers, device)
    bundle = load_onnx(folder) if graphs else load_bundle(folder)
    crew = None
    if workers > 1:
        share = max(1, torch.get_num_threads() // workers)
        loading = Loading(
            str(folder.absolute()), threads=share, runtime=runtime, precision=precision, shortlist=shortlist
        )
        crew = Workers(loading, count=workers)
    if bundle.kind == "captioner":
        if shortlist:
            raise ModelError(f"{os.fspath(name_or_path)}: is a captioner, and shortlists are for translators")
        return Captioner(bundle, device=device, precision=numbers, workers=crew)
    return Translator(bundle, device=device, precision=numbers, shortlist=shortlist, workers=crew)


def load_captioner(
    name_or_path: str | os.PathLike[str],
    *,
    threads: int | None = None,
    device: str = "cpu",
    runtime: str | None = None,
    precision: str = "float32",
    workers: int = 1,
) -> Captioner:
    """:func:`load` where only a captioner will do.

    Raises:
        ModelError: also where the model is a translator.
    """
    model = load(name_or_path, threads=threads, device=device, runtime=runtime, precision=precision, workers=workers)
    if not isinstance(model, Captioner):
        raise ModelError(f"{os.fspath(name_or_path)}: is a translator", allowed="a model that describes pictures")
    return model


def load_translator(
    name_or_path: str | os.PathLike[str],
    *,
    threads: int | None = None,
    device: str = "cpu",
    runtime: str | None = None,
    precision: str = "float32",
    shortlist: bool = False,
    workers: int = 1,
) -> Translator:
    """:func:`load` where only a translator will do.

    Raises:
        ModelError: also where the model is a captioner.
    """
    model = load(
        name_or_path,
        threads=threads,
        device=device,
        runtime=runtime,
        precision=precision,
        shortlist=shortlist,
        workers=workers,
    )
    if not isinstance(model, Translator):
        raise ModelError(f"{os.fspath(name_or_path)}: is a captioner", allowed="a model that translates sentences")
    return model


def _known_precision(name: str) -> InferencePrecision:
    for each in get_args(InferencePrecision):
        if each == name:
            known: InferencePrecision = each
            return known
    raise unknown_name("precision", name, get_args(InferencePrecision))


def _runs_graphs(folder: Path, runtime: str | None, device: str) -> bool:
    """Whether the model in ``folder`` is run as ONNX graphs."""
    if runtime not in (None, *RUNTIMES):
        raise unknown_name("runtime", runtime, RUNTIMES)
    exported = is_exported(folder)
    if exported and runtime == "torch":
        raise ModelError(
            f"{folder}: is an exported model, which torch does not run",
            remedy="leave the runtime out, or name the model that was exported",
        )
    graphs = exported or runtime == "onnx"
    if graphs and torch.device(device).type != "cpu":
        raise ConfigError(f"the runtime onnx with device {device!r}", allowed="cpu")
    return graphs


def _check_workers(workers: int, device: str) -> None:
    most = WORKERS_A_CORE * (os.cpu_count() or 1)
    if not 1 <= workers <= most:
        raise ConfigError(f"{workers} workers", allowed=f"1 to {most}, and one for each processor core serves best")
    if workers > 1 and torch.device(device).type != "cpu":
        raise ConfigError(f"{workers} workers with device {device!r}", allowed="1, or the device cpu")
