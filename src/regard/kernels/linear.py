"""x Wᵀ + b of many rows, through oneDNN where PyTorch would ask its BLAS.

Measured with AVX-512 on an AMD processor, oneDNN multiplies float32 matrices of these sizes a tenth faster, forwards
and for the gradient of x. For the gradient of W neither is, since both first have to lay out a matrix.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from regard.kernels import use_reference


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
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


def _gains(x: Tensor, weight: Tensor) -> bool:
    """Whether PyTorch would ask its BLAS. The operation of oneDNN is not public, so it may go."""
    return (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and x.numel() > 0
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and not torch.is_autocast_enabled("cpu")
    )


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
