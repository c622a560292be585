"""Weighted sums of the values of inputs, for many rows of each, and their gradient.

    context_r = Σ_n w_rn value_n        ∂L/∂w_rn = ∂L/∂context_r · value_n

Values in bfloat16 are multiplied as they are. A compiled operation (:mod:`regard.ops.cpu.compiled`) reads them once for
all rows of an input and takes packed rows; PyTorch takes a padded block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regard.ops.cpu.compiled import Strided, current_ops
from regard.ops.packing import GroupedRows

if TYPE_CHECKING:
    from jaxtyping import Float


class WeightedSum:
    """Sums the same values again and again.

    Args:
        values: [batch, position, dim].
        dtype: of weights and results.
    """

    def __init__(self, values: Tensor, dtype: torch.dtype) -> None:
        self._dtype = dtype
        bfloat16 = values.dtype == torch.bfloat16 and dtype == torch.float32
        self._compiled = current_ops(values.device, dtype) if bfloat16 or values.dtype == dtype else None
        self._suffix = "_bfloat16" if bfloat16 else ""
        self._values = values if self._compiled is None else values.contiguous()

    def forward(
        self,
        weights: Float[Tensor, "rows position"],
        rows: GroupedRows,
        *,
        start: Tensor | None = None,
        out: Float[Tensor, "rows dim"],
    ) -> None:
        """Write to ``out`` [rows, dim] the sums under weights [rows, position], added to ``start`` where given."""
        if self._compiled is None:
            block = torch.bmm(rows.to_block(weights.to(self._values.dtype)), self._values[: rows.num_inputs])
            context = rows.from_block(block).to(self._dtype)
            out.copy_(context) if start is None else torch.add(context, start, out=out)
            return
        context = out if out.is_contiguous() else torch.empty_like(out, memory_format=torch.contiguous_format)
        start = None if start is None else start.to(self._dtype).contiguous()
        operands = (weights, self._values, start, context, rows.offsets, *self._sizes(rows))
        self._compiled.run(f"weighted_sum{self._suffix}", *operands)
        if context is not out:
            out.copy_(context)

    def backward(self, gradient: Float[Tensor, "rows dim"], rows: GroupedRows) -> Float[Tensor, "rows position"]:
        """The gradient of weights [rows, position], from that of the sums [rows, dim]."""
        if self._compiled is None:
            block = rows.to_block(gradient.to(self._values.dtype))
            product = torch.bmm(block, self._values[: rows.num_inputs].transpose(1, 2))
            return rows.from_block(product).to(self._dtype)
        grad_weights = gradient.new_empty(len(gradient), self._values.shape[1], dtype=self._dtype)
        operands = (Strided(gradient.to(self._dtype)), self._values, grad_weights, rows.offsets, *self._sizes(rows))
        self._compiled.run(f"dot_products{self._suffix}", *operands)
        return grad_weights

    def _sizes(self, rows: GroupedRows) -> tuple[int, int, int]:
        return rows.num_inputs, self._values.shape[1], self._values.shape[2]


def weighted_sum(
    weights: Float[Tensor, "rows position"], values: Float[Tensor, "batch position dim"], rows: GroupedRows
) -> Float[Tensor, "rows dim"]:
    """The sums [rows, dim] under weights [rows, position] of values [batch, position, dim], without gradient."""
    if current_ops(values.device, weights.dtype) is None:
        return rows.from_block(torch.bmm(rows.to_block(weights.to(values.dtype)), values)).to(weights.dtype)
    context = weights.new_empty(len(weights), values.shape[2])
    WeightedSum(values, weights.dtype).forward(weights, rows, out=context)
    return context
