"""What decoders without attention keep of their inputs: it is the same at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.base import uniform_weights
from regard.ops.packing import Rows


@dataclass(frozen=True, kw_only=True)
class FixedMemory(Memory):
    """Here ``values`` [batch, 1, width] are what each step adds for an input, and there are no keys, [batch, 1, 0].

    Attributes:
        weights: [batch, position], the same on every real position.
    """

    weights: Tensor

    @classmethod
    def of(cls, annotations: Annotations, seen: Tensor) -> Self:
        """Of what is seen of each input, [batch, width]."""
        weights = uniform_weights(Memory(annotations.values, annotations.values, annotations.mask), 1)
        values = seen.unsqueeze(1)
        return cls(values, values[..., :0], weights=weights.squeeze(1))

    def at(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """What rows see [rows, width], in a new tensor, and their weights [rows, position]."""
        owners = rows.owners()
        return self.values.squeeze(1).index_select(0, owners), self.weights.index_select(0, owners)
