"""From a saved model to results: :func:`load` gives a captioner or a translator."""

from __future__ import annotations

import os

import torch

from regard.bundle import find_bundle, load_bundle
from regard.errors import ConfigError, ModelError
from regard.pipeline.captioner import Captioner
from regard.pipeline.options import SearchChanges, search_changes
from regard.pipeline.relay import translate_caption
from regard.pipeline.translator import Translator

__all__ = [
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
    name_or_path: str | os.PathLike[str], *, threads: int | None = None, device: str = "cpu"
) -> Captioner | Translator:
    """Load a model.

    Args:
        name_or_path: the name of a model that ships with the package, such as ``flickr8k``; or the folder of a saved
            model or of a training run.
        threads: how many processor threads torch may use, in this whole process; None leaves that as it is.
        device: where the model computes, such as ``cuda``.

    Raises:
        ModelError: there is no such model, or it is damaged.
        ConfigError: ``threads`` or ``device`` cannot be used.
    """
    if threads is not None:
        if threads < 1:
            raise ConfigError(f"{threads} threads", allowed="1 or more")
        torch.set_num_threads(threads)
    _check_device(device)
    bundle = load_bundle(find_bundle(name_or_path))
    return Captioner(bundle, device=device) if bundle.kind == "captioner" else Translator(bundle, device=device)


def load_captioner(
    name_or_path: str | os.PathLike[str], *, threads: int | None = None, device: str = "cpu"
) -> Captioner:
    """:func:`load` where only a captioner will do.

    Raises:
        ModelError: also where the model is a translator.
    """
    model = load(name_or_path, threads=threads, device=device)
    if not isinstance(model, Captioner):
        raise ModelError(f"{os.fspath(name_or_path)}: is a translator", allowed="a model that describes pictures")
    return model


def load_translator(
    name_or_path: str | os.PathLike[str], *, threads: int | None = None, device: str = "cpu"
) -> Translator:
    """:func:`load` where only a translator will do.

    Raises:
        ModelError: also where the model is a captioner.
    """
    model = load(name_or_path, threads=threads, device=device)
    if not isinstance(model, Translator):
        raise ModelError(f"{os.fspath(name_or_path)}: is a captioner", allowed="a model that translates sentences")
    return model


def _check_device(device: str) -> None:
    try:
        kind = torch.device(device).type
        usable = kind == "cpu" or bool(torch.get_device_module(kind).is_available())
    except (RuntimeError, AttributeError):
        # what torch raises for a name that it does not know, and for devices that cannot compute
        usable = False
    if not usable:
        raise ConfigError(f"device {device!r} is not to be had here", allowed="cpu, or cuda on a machine that has it")
