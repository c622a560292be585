"""From the name or the folder of a saved model to a captioner or a translator."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, cast, get_args

import torch

from regard.compute import ComputeKeywords, ComputeOptions, resolve_device
from regard.errors import ConfigError, ModelError, unknown_name
from regard.ops.linear import InferencePrecision
from regard.parallel.workers import Workers
from regard.saved.bundle import Bundle, find_bundle, is_exported, load_bundle

if TYPE_CHECKING:
    from regard.pipeline.captioner import Captioner
    from regard.pipeline.translator import Translator

RUNTIMES = ("torch", "onnx")
"""What can compute a model."""
WORKERS_PER_CORE = 4
"""More processes than that on a core are surely not meant, and could fill the memory."""


class _Options(TypedDict):
    """What captioners and translators take alike."""

    device: str
    precision: InferencePrecision
    workers: Workers | None


@dataclass(frozen=True)
class ModelLoader:
    """Loads one model in one way; worker processes call it to get theirs."""

    folder: str
    options: ComputeOptions

    def __call__(self) -> Captioner | Translator:
        """The model.

        Raises:
            RegardError: what :func:`load` raises.
        """
        return load(self.folder, **asdict(self.options))


def load(name_or_path: str | os.PathLike[str], **options: Unpack[ComputeKeywords]) -> Captioner | Translator:
    """Load a model.

    Args:
        name_or_path: the name of a model that ships with the package, such as ``flickr8k``; or the folder of a saved
            model, of a training run or of an exported model.
        options: how it computes, by the names of :class:`regard.compute.ComputeOptions`, such as ``threads=2`` or
            ``precision="int8"``.

    Raises:
        ModelError: there is no such model, it is damaged, it cannot be exported, or it has no shortlists.
        ConfigError: an option cannot be used.
        DependencyError: the packages of the extra ``onnx`` are not installed.
    """
    compute = ComputeOptions(**options)
    _set_threads(compute.threads)
    compute = replace(compute, device=str(resolve_device(compute.device)))
    folder = find_bundle(name_or_path)
    precision = _known_precision(compute.precision)
    graphs = _runs_graphs(folder, compute)
    _check_workers(compute)
    bundle = _read(folder, graphs=graphs)
    how: _Options = {"device": compute.device, "precision": precision, "workers": _workers(folder, compute)}
    if bundle.kind == "translator":
        from regard.pipeline.translator import Translator

        return Translator(bundle, shortlist=compute.shortlist, **how)
    from regard.pipeline.captioner import Captioner

    if compute.shortlist:
        raise ModelError(f"{os.fspath(name_or_path)}: is a captioner, and shortlists are for translators")
    return Captioner(bundle, **how)


def load_captioner(name_or_path: str | os.PathLike[str], **options: Unpack[ComputeKeywords]) -> Captioner:
    """:func:`load` where only a captioner will do.

    Raises:
        ModelError: also where the model is a translator.
    """
    model = load(name_or_path, **options)
    if model.bundle.kind != "captioner":
        raise ModelError(f"{os.fspath(name_or_path)}: is a translator", allowed="a model that describes pictures")
    return cast("Captioner", model)


def load_translator(name_or_path: str | os.PathLike[str], **options: Unpack[ComputeKeywords]) -> Translator:
    """:func:`load` where only a translator will do.

    Raises:
        ModelError: also where the model is a captioner.
    """
    model = load(name_or_path, **options)
    if model.bundle.kind != "translator":
        raise ModelError(f"{os.fspath(name_or_path)}: is a captioner", allowed="a model that translates sentences")
    return cast("Translator", model)


def _read(folder: Path, *, graphs: bool) -> Bundle:
    if not graphs:
        return load_bundle(folder)
    from regard.saved.onnx import load_onnx

    return load_onnx(folder)


def _set_threads(threads: int | None) -> None:
    if threads is None:
        return
    if threads < 1:
        raise ConfigError(f"{threads} threads", allowed="1 or more")
    torch.set_num_threads(threads)


def _known_precision(name: str) -> InferencePrecision:
    for each in get_args(InferencePrecision):
        if each == name:
            known: InferencePrecision = each
            return known
    raise unknown_name("precision", name, get_args(InferencePrecision))


def _runs_graphs(folder: Path, compute: ComputeOptions) -> bool:
    """Whether the model in ``folder`` is run as ONNX graphs."""
    if compute.runtime not in (None, *RUNTIMES):
        raise unknown_name("runtime", compute.runtime, RUNTIMES)
    exported = is_exported(folder)
    if exported and compute.runtime == "torch":
        raise ModelError(
            f"{folder}: is an exported model, which torch does not run",
            remedy="leave the runtime out, or name the model that was exported",
        )
    graphs = exported or compute.runtime == "onnx"
    if graphs and torch.device(compute.device).type != "cpu":
        raise ConfigError(f"the runtime onnx with device {compute.device!r}", allowed="cpu")
    if graphs and compute.precision != "float32":
        raise ConfigError(
            f"the runtime onnx with precision {compute.precision!r}", allowed="float32, or the runtime torch"
        )
    return graphs


def _workers(folder: Path, compute: ComputeOptions) -> Workers | None:
    """Worker processes for the model in ``folder``, each with its part of the threads; None for none."""
    if compute.workers == 1:
        return None
    threads = max(1, torch.get_num_threads() // compute.workers)
    loader = ModelLoader(str(folder.absolute()), replace(compute, threads=threads, workers=1))
    return Workers(loader, count=compute.workers)


def _check_workers(compute: ComputeOptions) -> None:
    workers, most = compute.workers, WORKERS_PER_CORE * (os.cpu_count() or 1)
    if not 1 <= workers <= most:
        raise ConfigError(f"{workers} workers", allowed=f"1 to {most}, and one for each processor core serves best")
    if workers > 1 and torch.device(compute.device).type != "cpu":
        raise ConfigError(f"{workers} workers with device {compute.device!r}", allowed="1, or the device cpu")
