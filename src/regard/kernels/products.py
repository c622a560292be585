"""Products with one matrix that stays the same, made ready once: it is multiplied at every word.

    product = ready_product(weight, bias, precision=...)        product(x) = x Wᵀ + b       for decoding
    product = multiplier(weight, dtype)                         product(x) = x Wᵀ           inside a training pass

``float32``   the matrix is laid out for oneDNN once, not at every call.

``bfloat16``  both operands are rounded to bfloat16, and so is the result; sums are kept in float32.

``int8``      W ≈ s_o q_o for each output and x ≈ s_r q_r for each row, with whole numbers q of 8 bits (Krishnamoorthi
              2018, §2.1 and §3.1, "symmetric, per channel"); the sums of products are whole numbers too. Scales belong
              to rows, not to the batch, so a row does not depend on what else is multiplied.

Results are float32 in all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.kernels import use_reference

InferencePrecision = Literal["float32", "bfloat16", "int8"]
"""In which numbers products are taken where nothing is learned."""

Product = Callable[[Tensor], Tensor]
"""[rows, inputs] to [rows, outputs]."""

_LARGEST = 127
_ROWS = 256
"""For how many rows oneDNN is asked to lay a matrix out; any number can be multiplied."""


def ready_product(weight: Tensor, bias: Tensor | None, *, precision: InferencePrecision) -> Product:
    """Make a matrix [outputs, inputs] and a bias [outputs] ready; later changes to them are not seen."""
    weight = weight.detach().clone(memory_format=torch.contiguous_format)
    bias = None if bias is None else bias.detach().clone()
    if precision == "int8":
        return _WholeNumbers(weight, bias)
    dtype = torch.bfloat16 if precision == "bfloat16" else weight.dtype
    return _LaidOut(weight.to(dtype), None if bias is None else bias.to(dtype))


def multiplier(weight: Tensor, dtype: torch.dtype) -> Product:
    """Make a matrix [outputs, inputs] ready for products in ``dtype``, without gradient, while it stays as it is."""
    return _LaidOut(weight.detach().to(dtype).contiguous(), None)


class _LaidOut:
    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._dtype, self._bias = weight.dtype, bias
        self._laid_out = _can_lay_out(weight)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS) if self._laid_out else weight

    def __call__(self, x: Tensor) -> Tensor:
        given = x.dtype
        x = x.to(self._dtype)
        if self._laid_out:
            product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        else:
            product = linear(x, self._weight, self._bias)
        return product.to(given)


def _can_lay_out(weight: Tensor) -> bool:
    """Whether PyTorch can keep this matrix in oneDNN's own order. These operations are not public, so they may go."""
    return (
        not use_reference()
        and weight.device.type == "cpu"
        and weight.dtype in (torch.float32, torch.bfloat16)
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


class _WholeNumbers:
    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        whole, scales = _whole(weight)
        self._weight, self._scales, self._bias = whole.t(), scales.t(), bias

    def __call__(self, x: Tensor) -> Tensor:
        whole, scales = _whole(x)
        product = torch._int_mm(whole, self._weight).to(x.dtype).mul_(self._scales)
        return product.mul_(scales) if self._bias is None else torch.addcmul(self._bias, product, scales, out=product)


def _whole(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers int8 [rows, ·] and the scale of each row [rows, 1]."""
    # a row of zeros has no scale of its own, and any will do
    scales = rows.abs().amax(dim=1, keepdim=True).div_(_LARGEST).clamp_min_(torch.finfo(rows.dtype).tiny)
    return (rows / scales).round_().to(torch.int8), scales
