"""How a model computes: the one set of options that :func:`regard.load`, the command line and workers share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from regard.errors import ConfigError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class ComputeOptions:
    """How a model computes.

    Attributes:
        device: where the model computes: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
        threads: how many processor threads torch may use, in the whole process; None leaves that as it is.
        runtime: what computes the model, ``torch`` or ``onnx``; None for torch, or for onnx where the model is an
            exported one. A model that is not exported yet is exported once, to the cache, when ``onnx`` is asked for.
        precision: numeric precision of the model: ``float32``, or with less time and nearly the same results
            ``bfloat16`` or ``int8``, see :class:`regard.pipeline.engine.Engine`.
        shortlist: of a translator, whether it writes each sentence in the pieces of its lexical shortlist alone, see
            :class:`regard.pipeline.translator.Translator`.
        workers: how many processes share work of more than one batch, each with the same model and its part of the
            threads; 1 for this process alone. They start with the first such work, and end with the model.
    """

    device: str = "cpu"
    threads: int | None = None
    runtime: str | None = None
    precision: str = "float32"
    shortlist: bool = False
    workers: int = 1


class ComputeKeywords(TypedDict, total=False):
    """The options of :class:`ComputeOptions` as keyword arguments."""

    device: str
    threads: int | None
    runtime: str | None
    precision: str
    shortlist: bool
    workers: int


AUTO = "auto"
"""Stands for the GPU where there is one, and for the processor elsewhere."""


def resolve_device(name: str) -> torch.device:
    """The device called ``name``: ``cpu``, ``cuda``, ``cuda:1``, ``auto`` …

    Raises:
        ConfigError: there is no such device here.
    """
    import torch

    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        usable = device.type == "cpu" or bool(torch.get_device_module(device).is_available())
    except (RuntimeError, AttributeError, TypeError):
        # what torch raises for a name that it does not know or that is no text, and for devices that cannot compute
        usable = False
    if not usable:
        raise ConfigError(
            f"device {name!r} is not available here", allowed="cpu, auto, or cuda on a machine that has it"
        )
    return device
