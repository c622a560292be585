"""Weights beside those of a model: their running average, and a model that holds them for a while."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from regard.saved.tensors import load_tensors, named_tensors


class RunningAverage:
    """An exponential running average of a model's weights, the cheap form of averaging checkpoints.

    Early steps count less: the decay grows from 0 towards ``decay`` as (1 + n) / (10 + n), so that the random start is
    forgotten soon.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.tensors = {name: tensor.clone() for name, tensor in named_tensors(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model's present weights."""
        self.updates += 1
        share = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        current = named_tensors(model)
        moving = [name for name, tensor in self.tensors.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.tensors[name] for name in moving], [current[name] for name in moving], share)


class Swapped:
    """A context in which a model holds other weights, and its own again afterwards."""

    def __init__(self, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
        self._model, self._tensors = model, tensors
        self._own: dict[str, Tensor] = {}

    def __enter__(self) -> None:
        self._own = {name: tensor.clone() for name, tensor in named_tensors(self._model).items()}
        load_tensors(self._model, self._tensors, origin="the average")

    def __exit__(self, *_: object) -> None:
        load_tensors(self._model, self._own, origin="the model")
