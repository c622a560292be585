"""A memory becomes named tensors and comes back the same."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from regard.attention import Memory
from regard.saved.onnx.naming import MemoryNames


@dataclass(frozen=True, kw_only=True)
class Deep(Memory):
    """A memory of every kind of part."""

    layers: tuple[Memory, ...]
    matrices: list[Tensor]
    scale: float


def deep(batch: int) -> Deep:
    values, mask = torch.randn(batch, 5, 3), torch.ones(batch, 5, dtype=torch.bool)
    layers = tuple(Memory(torch.randn(batch, 5, 2), torch.randn(batch, 5, 2), mask) for _ in range(2))
    return Deep(values, values, mask, layers=layers, matrices=[torch.randn(4, 4)], scale=0.5)


def test_names_tell_the_place_and_each_tensor_has_one() -> None:
    names = MemoryNames(deep(2))
    layers = ["layers.0.values", "layers.0.keys", "layers.1.values", "layers.1.keys"]
    assert list(names) == ["values", "mask", *layers]


def test_what_is_taken_out_can_be_put_back() -> None:
    example, memory = deep(2), deep(3)
    names = MemoryNames(example)
    back = names.put(names.take(memory))
    assert isinstance(back, Deep)
    assert back.values is memory.values
    assert back.keys is memory.values
    assert back.layers[1].mask is memory.mask
    assert back.layers[1].keys is memory.layers[1].keys
    # the same for every input, so it is that of the example
    assert back.matrices is example.matrices
    assert back.scale == example.scale


def test_a_memory_without_a_mask_has_no_name_for_it() -> None:
    assert list(MemoryNames(Memory(torch.zeros(1, 2, 3), torch.zeros(1, 2, 4)))) == ["values", "keys"]
