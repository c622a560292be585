"""Dropout whose masks are cheap on a processor.

``torch.nn.functional.dropout`` draws one random number for every element, which takes longer than many of the
products around it. Here a draw of 64 bits decides on four elements, by 16 bits each: the probability is the nearest
multiple of 2⁻¹⁶, and the scale is exactly the inverse of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from jaxtyping import Float

LEVELS = 1 << 16


def dropout(x: Float[Tensor, "*shape"], p: float, *, training: bool) -> Float[Tensor, "*shape"]:
    """``torch.nn.functional.dropout`` with cheap masks on a CPU."""
    if not training or not p:
        return x
    if x.device.type != "cpu":
        return nn.functional.dropout(x, p, training)
    dropped: Tensor = _Dropout.apply(x, p)  # type: ignore[no-untyped-call]
    return dropped


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, p: float) -> Tensor:
        count = min(max(round((1 - p) * LEVELS), 1), LEVELS - 1)
        ctx.scale = LEVELS / count
        mask = _random_mask(value, count)
        ctx.save_for_backward(mask)
        return mask.to(value.dtype).mul_(value).mul_(ctx.scale)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return mask.to(gradients[0].dtype).mul_(gradients[0]).mul_(ctx.scale), None


def _random_mask(like: Tensor, count: int) -> Tensor:
    """bool of the shape of ``like``, True with probability ``count`` / 2¹⁶."""
    draws = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    levels = draws.view(torch.int16)[: like.numel()]
    return (levels < count - LEVELS // 2).view(like.shape)
