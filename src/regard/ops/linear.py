"""Matrix products of many rows, x Wᵀ + b, through oneDNN where PyTorch would ask its BLAS.

    linear(x, weight, bias)                     once, with gradient, as ``torch.nn.functional.linear``
    multiply(x, weight, bias)                   once, without gradient
    multiplier(weight, dtype, bias)             a matrix laid out once, for the steps of one training pass
    ready_product(weight, bias, precision=...)  a matrix laid out once, for decoding

Measured with AVX-512 on an AMD processor, oneDNN multiplies float32 matrices of these sizes a tenth faster, forwards
and for the gradient of x, and faster still if it need not lay out the matrix at every call. For the gradient of W
neither gains, since both first have to lay out a matrix.

What decodes may multiply in numbers of fewer bits; results are float32 all the same:

``float32``   as it is.

``bfloat16``  both operands are rounded to bfloat16, and so is the result; sums are kept in float32.

``int8``      W ≈ s_o q_o for each output and x ≈ s_r q_r for each row, with whole numbers q of 8 bits (Krishnamoorthi
              2018, §2.1 and §3.1, "symmetric, per channel"); the sums of products are whole numbers too. Scales belong
              to rows, not to the batch, so a row does not depend on what else is multiplied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from regard.ops import use_reference

InferencePrecision = Literal["float32", "bfloat16", "int8"]
"""In which numbers products are taken where nothing is learned."""

Product = Callable[[Tensor], Tensor]
"""[rows, inputs] to [rows, outputs]."""

_LARGEST = 127
_ROWS = 256
"""For how many rows oneDNN is asked to lay a matrix out; any number can be multiplied."""

_EVEN = 8
"""Rows become fewer with every word, and for each new number of them oneDNN makes a program, which takes a tenth of the
time of a product and more in bfloat16. Numbers stay few where rows of zeros make them multiples of this."""
_PROGRAM = 2 * 10**7
"""How many multiplications take about as long as to make a program."""


class Linear(nn.Linear):
    """``torch.nn.Linear`` whose products in training are those of :func:`linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """x Wᵀ + b."""
        return linear(input, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b [..., outputs], of x [..., inputs], W [outputs, inputs] and b [outputs]; as in PyTorch."""
    if use_reference() or not (torch.is_grad_enabled() and _gains(x, weight)):
        return nn.functional.linear(x, weight, bias)
    product: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return product


def multiply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The same without gradient; x [rows, inputs], one row behind the other."""
    if use_reference() or not _gains(x, weight):
        return nn.functional.linear(x, weight, bias)
    # of what is a part of a wider matrix oneDNN takes products a thousand times more slowly
    weight = weight if weight.is_contiguous() or weight.t().is_contiguous() else weight.contiguous()
    return _ask_onednn(x, weight, bias)


def multiplier(weight: Tensor, dtype: torch.dtype, bias: Tensor | None = None) -> Product:
    """Make a matrix [outputs, inputs] and a bias [outputs] ready for products in ``dtype``; neither may change."""
    return _LaidOut(weight.detach().to(dtype).contiguous(), None if bias is None else bias.detach().to(dtype))


def ready_product(weight: Tensor, bias: Tensor | None, *, precision: InferencePrecision) -> Product:
    """Make a matrix [outputs, inputs] and a bias [outputs] ready; later changes to them are not seen."""
    weight = weight.detach().clone(memory_format=torch.contiguous_format)
    bias = None if bias is None else bias.detach().clone()
    if precision == "int8":
        return _WholeNumbers(weight, bias)
    dtype = torch.bfloat16 if precision == "bfloat16" else weight.dtype
    return _Even(_LaidOut(weight.to(dtype), None if bias is None else bias.to(dtype)), weight.numel())


class _Even:
    """A product that is taken for few different numbers of rows.

    Args:
        product: the product.
        size: how many numbers its matrix has.
    """

    def __init__(self, product: Product, size: int) -> None:
        self._product, self._size = product, size
        self._most = _EVEN

    def __call__(self, x: Tensor) -> Tensor:
        absent = -len(x) % _EVEN
        # the largest number is that of a whole batch, which comes again
        if not absent or len(x) >= self._most or len(x) < _EVEN or absent * self._size > _PROGRAM:
            self._most = max(self._most, len(x))
            return self._product(x)
        return self._product(nn.functional.pad(x, (0, 0, 0, absent)))[: len(x)]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return multiply(_rows(x), weight, bias).view(*x.shape[:-1], len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        to_product = _rows(gradients[0])
        to_x, to_weight, to_bias = ctx.needs_input_grad
        return (
            multiply(to_product, weight.t()).view_as(x) if to_x else None,
            torch.mm(to_product.t(), _rows(x)) if to_weight else None,
            to_product.sum(dim=0) if to_bias else None,
        )


def _rows(x: Tensor) -> Tensor:
    """[..., numbers] to [rows, numbers], one row behind the other."""
    return x.reshape(-1, x.shape[-1]).contiguous()


class _LaidOut:
    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._dtype, self._bias = weight.dtype, bias
        self._laid_out = _can_lay_out(weight)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS) if self._laid_out else weight

    def __call__(self, x: Tensor) -> Tensor:
        given, take = x.dtype, _ask_onednn if self._laid_out else nn.functional.linear
        return take(x.to(self._dtype), self._weight, self._bias).to(given)


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


def _ask_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


def _gains(x: Tensor, weight: Tensor) -> bool:
    """Whether PyTorch would ask its BLAS, and oneDNN can be asked. Its operations are not public, so they may go."""
    return (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and x.numel() > 0
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and not torch.is_autocast_enabled("cpu")
    )


def _can_lay_out(weight: Tensor) -> bool:
    """Whether PyTorch can keep this matrix in oneDNN's own order."""
    return (
        not use_reference()
        and weight.device.type == "cpu"
        and weight.dtype in (torch.float32, torch.bfloat16)
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
