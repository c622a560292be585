"""Matrix products of many rows, x Wᵀ + b, through oneDNN where PyTorch would ask its BLAS.

    multiply(x, weight, bias)                   once
    prepare_linear(weight, dtype, bias)         a matrix packed once, for the steps of one training pass
    inference_linear(weight, bias, precision=…) a matrix packed once, for inference

Measured with AVX-512 on an AMD processor, oneDNN multiplies float32 matrices of these sizes a tenth faster where it
need not pack the matrix at every call.

For inference products may be taken in lower precision; results are float32 all the same:

``float32``   as it is.

``bfloat16``  both operands are rounded to bfloat16, and so is the result; sums are kept in float32.

``int8``      W and x are quantised (:mod:`regard.ops.quantization`), W with a scale for each output and x with one for
              each row; products are summed as int32. A row does not depend on what else is multiplied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from regard.ops.quantization import quantize_rows

if TYPE_CHECKING:
    from jaxtyping import Float

InferencePrecision = Literal["float32", "bfloat16", "int8"]
"""Numeric precision of matrix products in inference."""

Product = Callable[[Tensor], Tensor]
"""[rows, inputs] to [rows, outputs]."""

_ROWS = 256
"""The number of rows that oneDNN packs a matrix for; any number can be multiplied."""

_MULTIPLE = 8
"""Rows become fewer with every word, and for each new number of them oneDNN makes a program, which takes a tenth of the
time of a product and more in bfloat16. Numbers stay few where rows of zeros make them multiples of this."""
_PROGRAM = 2 * 10**7
"""The number of multiplications that take about as long as making a program."""


def multiply(
    x: Float[Tensor, "rows inputs"], weight: Float[Tensor, "outputs inputs"], bias: Tensor | None = None
) -> Float[Tensor, "rows outputs"]:
    """x Wᵀ + b [rows, outputs], of contiguous x [rows, inputs] and W [outputs, inputs]; without gradient."""
    if not _onednn_gains(x, weight):
        return nn.functional.linear(x, weight, bias)
    # of what is a part of a wider matrix oneDNN takes products a thousand times more slowly
    weight = weight if weight.is_contiguous() or weight.t().is_contiguous() else weight.contiguous()
    return _onednn_linear(x, weight, bias)


def prepare_linear(weight: Tensor, dtype: torch.dtype, bias: Tensor | None = None) -> Product:
    """Pack a matrix [outputs, inputs] and a bias [outputs] for products in ``dtype``; neither may change."""
    return _PackedLinear(weight.detach().to(dtype).contiguous(), None if bias is None else bias.detach().to(dtype))


def inference_linear(weight: Tensor, bias: Tensor | None, *, precision: InferencePrecision) -> Product:
    """Pack a copy of a matrix [outputs, inputs] and a bias [outputs] for inference."""
    weight = weight.detach().clone(memory_format=torch.contiguous_format)
    bias = None if bias is None else bias.detach().clone()
    if precision == "int8":
        return _Int8Linear(weight, bias)
    dtype = torch.bfloat16 if precision == "bfloat16" else weight.dtype
    return _PaddedLinear(_PackedLinear(weight.to(dtype), None if bias is None else bias.to(dtype)), weight.numel())


class _PaddedLinear:
    """Pads the rows of a product to few different numbers of rows.

    Args:
        product: the product.
        size: number of elements of its matrix.
    """

    def __init__(self, product: Product, size: int) -> None:
        self._product, self._size = product, size
        self._largest = _MULTIPLE

    def __call__(self, x: Tensor) -> Tensor:
        missing = -len(x) % _MULTIPLE
        # the largest number is that of a whole batch, which comes again
        if not missing or len(x) >= self._largest or len(x) < _MULTIPLE or missing * self._size > _PROGRAM:
            self._largest = max(self._largest, len(x))
            return self._product(x)
        return self._product(nn.functional.pad(x, (0, 0, 0, missing)))[: len(x)]


class _PackedLinear:
    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._dtype, self._bias = weight.dtype, bias
        self._packed = _can_pack(weight)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS) if self._packed else weight

    def __call__(self, x: Tensor) -> Tensor:
        given, product = x.dtype, _onednn_linear if self._packed else nn.functional.linear
        return product(x.to(self._dtype), self._weight, self._bias).to(given)


class _Int8Linear:
    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        quantized, scales = quantize_rows(weight)
        self._weight, self._scales, self._bias = quantized.t(), scales.t(), bias

    def __call__(self, x: Tensor) -> Tensor:
        quantized, scales = quantize_rows(x)
        product = torch._int_mm(quantized, self._weight).to(x.dtype).mul_(self._scales)
        return product.mul_(scales) if self._bias is None else torch.addcmul(self._bias, product, scales, out=product)


def _onednn_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


def _onednn_gains(x: Tensor, weight: Tensor) -> bool:
    """Whether PyTorch would ask its BLAS, and oneDNN can be asked. Its operations are not public, so they may go."""
    return (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and x.numel() > 0
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and not torch.is_autocast_enabled("cpu")
    )


def _can_pack(weight: Tensor) -> bool:
    """Whether PyTorch can keep this matrix in oneDNN's own order."""
    return (
        weight.device.type == "cpu"
        and weight.dtype in (torch.float32, torch.bfloat16)
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
