"""The tensors of a model by name, each once however many names it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from regard.errors import ModelError


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers, detached, sharing memory with the model; tied ones under their first name."""
    saved = set(model.state_dict(keep_vars=True))
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    tensors.update({name: buffer for name, buffer in model.named_buffers() if name in saved})
    return tensors


@torch.no_grad()
def load_tensors(model: nn.Module, tensors: Mapping[str, Tensor], *, origin: str) -> None:
    """Copy ``tensors`` into the model.

    Raises:
        ModelError: a tensor is missing, unknown or of another shape.
    """
    own = named_tensors(model)
    check_names(own.keys(), tensors.keys(), origin=origin)
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            shapes = f"{tuple(tensors[name].shape)}, the model's {tuple(tensor.shape)}"
            raise ModelError(f"{origin}: the shape of {name} is {shapes}")
        tensor.copy_(tensors[name])


def check_names(needed: Set[str], given: Set[str], *, origin: str) -> None:
    """Compare the names of tensors.

    Raises:
        ModelError: one is missing or unknown.
    """
    for problem, names in (("misses", needed - given), ("holds unknown", given - needed)):
        if names:
            raise ModelError(f"{origin}: {problem} {len(names)} tensors, such as {min(names):.200}")


@contextmanager
def shapes_only() -> Iterator[None]:
    """Modules that are built in here have shapes and no numbers: they lie on the device meta, and take no memory."""
    with torch.device("meta"), _Unfilled():
        yield


_FILLING = {"normal_", "uniform_", "fill_", "zero_", "copy_", "add_", "mul_", "div_"}


class _Unfilled(TorchFunctionMode):
    """A mode in which tensors are not filled: on the device meta torch follows that, too, and imports half of itself
    for it, which takes a second and 150 MB."""

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        if getattr(function, "__name__", "") in _FILLING:
            return arguments[0] if arguments else (options or {})["tensor"]
        return function(*arguments, **(options or {}))
