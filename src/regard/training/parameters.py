"""What a model holds for a while: the running average of its weights, another dropout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

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


@contextmanager
def dropout_of(model: nn.Module, probability: float | None) -> Iterator[None]:
    """A context in which every dropout of the model that is above 0 has this probability; None for their own."""
    layers: list[tuple[nn.Module, str]] = [(each, "p") for each in model.modules() if isinstance(each, nn.Dropout)]
    layers += [(each, "dropout") for each in model.modules() if isinstance(each, nn.RNNBase)]
    own = [(layer, name, getattr(layer, name)) for layer, name in layers if getattr(layer, name) > 0]
    for layer, name, value in own:
        setattr(layer, name, value if probability is None else probability)
    try:
        yield
    finally:
        for layer, name, value in own:
            setattr(layer, name, value)
