"""Dropout whose masks are cheap on a processor.

``torch.nn.functional.dropout`` draws one number of the generator for every element, which takes longer than many of the
products around it. Here a draw of 64 bits decides on four elements, by 16 bits each: the probability is the nearest
multiple of 2⁻¹⁶, and the scale is exactly the inverse of that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from regard.ops import use_reference

LEVELS = 1 << 16


class Dropout(nn.Dropout):
    """``torch.nn.Dropout`` with cheap masks."""

    def forward(self, input: Tensor) -> Tensor:
        """Zero each number with probability ``p`` in training, and scale the rest."""
        if not self.training or not self.p:
            return input
        if use_reference() or input.device.type != "cpu" or self.inplace:
            return nn.functional.dropout(input, self.p, self.training, self.inplace)
        dropped: Tensor = _Dropout.apply(input, self.p)  # type: ignore[no-untyped-call]
        return dropped


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, p: float) -> Tensor:
        count = min(max(round((1 - p) * LEVELS), 1), LEVELS - 1)
        ctx.scale = LEVELS / count
        kept = _draw(value, count)
        ctx.save_for_backward(kept)
        return kept.to(value.dtype).mul_(value).mul_(ctx.scale)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return kept.to(gradients[0].dtype).mul_(gradients[0]).mul_(ctx.scale), None


def _draw(like: Tensor, count: int) -> Tensor:
    """bool of the shape of ``like``, True with probability ``count`` / 2¹⁶."""
    draws = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    numbers = draws.view(torch.int16)[: like.numel()]
    return (numbers < count - LEVELS // 2).view(like.shape)
