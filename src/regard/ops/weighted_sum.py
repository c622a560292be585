"""Weighted sums of the values of inputs, for many rows of each, and the way back to the weights.

    mixed_r = Σ_n w_rn value_n          of a gradient g of these:  ∂w_rn = g_r · value_n

Values that rest in bfloat16 are multiplied as they are. Compiled loops (:mod:`regard.ops.cpu.compiled`) read them once
for all rows of an input and the rows where they lie; PyTorch wants the rows as a block.
"""

from __future__ import annotations

import torch
from torch import Tensor

from regard.ops.cpu.compiled import Part, current_loops
from regard.ops.packing import Rows


class Mixer:
    """Mixes the same values again and again.

    Args:
        values: [batch, position, dim].
        sums: the type of number of weights and results.
    """

    def __init__(self, values: Tensor, sums: torch.dtype) -> None:
        self._sums = sums
        rounded = values.dtype == torch.bfloat16 and sums == torch.float32
        self._loops = current_loops(values.device, sums) if rounded or values.dtype == sums else None
        self._kind = "rounded" if rounded else "numbers"
        self._values = values if self._loops is None else values.contiguous()

    def mix(self, weights: Tensor, rows: Rows, *, start: Tensor | None = None, out: Tensor) -> None:
        """Write to ``out`` [rows, dim] what weights [rows, position] mix, added to ``start`` where that is given."""
        if self._loops is None:
            block = torch.bmm(rows.to_block(weights.to(self._values.dtype)), self._values[: rows.inputs])
            mixed = rows.from_block(block).to(self._sums)
            out.copy_(mixed) if start is None else torch.add(mixed, start, out=out)
            return
        found = out if out.is_contiguous() else torch.empty_like(out, memory_format=torch.contiguous_format)
        start = None if start is None else start.to(self._sums).contiguous()
        self._loops.run(f"mix_{self._kind}", weights, self._values, start, found, rows.bounds, *self._sizes(rows))
        if found is not out:
            out.copy_(found)

    def backward(self, gradient: Tensor, rows: Rows) -> Tensor:
        """The gradient of weights [rows, position], from that of what they mix [rows, dim]."""
        if self._loops is None:
            block = rows.to_block(gradient.to(self._values.dtype))
            return rows.from_block(torch.bmm(block, self._values[: rows.inputs].transpose(1, 2))).to(self._sums)
        to_weights = gradient.new_empty(len(gradient), self._values.shape[1], dtype=self._sums)
        left = Part(gradient.to(self._sums))
        self._loops.run(f"compare_{self._kind}", left, self._values, to_weights, rows.bounds, *self._sizes(rows))
        return to_weights

    def _sizes(self, rows: Rows) -> tuple[int, int, int]:
        return rows.inputs, self._values.shape[1], self._values.shape[2]
