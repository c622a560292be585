"""The memory of decoders without attention, which is the same at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.base import uniform_weights
from regard.ops.packing import GroupedRows


@dataclass(frozen=True, kw_only=True)
class ConstantMemory(Memory):
    """``values`` [batch, 1, width] are what each step adds for an input; there are no keys, [batch, 1, 0].

    Attributes:
        weights: [batch, position], the same on every real position.
    """

    weights: Tensor

    @classmethod
    def of(cls, annotations: Annotations, constant: Tensor) -> Self:
        """Of what each step adds for an input, [batch, width]."""
        weights = uniform_weights(Memory(annotations.values, annotations.values, annotations.mask), 1)
        values = constant.unsqueeze(1)
        return cls(values, values[..., :0], weights=weights.squeeze(1))

    def at(self, rows: GroupedRows) -> tuple[Tensor, Tensor]:
        """The values of rows [rows, width], in a new tensor, and their weights [rows, position]."""
        batch_index = rows.batch_index()
        return self.values.squeeze(1).index_select(0, batch_index), self.weights.index_select(0, batch_index)
