"""Convolutions packed for inference and fused with what follows them, whose results are then still in the cache."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def can_fuse(weight: Tensor) -> bool:
    """Whether a convolution with such a weight can be a :class:`FusedConvolution`.

    The operation is not one of PyTorch's public ones, so it may go.
    """
    return (
        weight.device.type == "cpu"
        and weight.dtype in (torch.float32, torch.bfloat16)
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


class FusedConvolution(nn.Module):
    """A convolution, then ReLU6 or the addition of another tensor, as one operation.

    Args:
        weight: [outputs, inputs / groups, height, width].
        bias: [outputs].
        padding: on both sides, the same.
        relu6: whether results are clipped to 0 … 6.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, *, stride: int, padding: int, groups: int, relu6: bool
    ) -> None:
        super().__init__()
        self._geometry = ([padding, padding], [stride, stride], [1, 1], groups)
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(weight.detach(), *self._geometry)
        self._bias = None if bias is None else bias.detach()
        self._activation: tuple[str, Sequence[float]] = ("hardtanh", [0.0, 6.0]) if relu6 else ("none", [])

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        weight, bias = self._weight, self._bias
        if added is None:
            name, limits = self._activation
            result: Tensor = torch.ops.mkldnn._convolution_pointwise(x, weight, bias, *self._geometry, name, limits, "")
            return result
        summed: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
            x, added, weight, bias, *self._geometry, "add", 1.0, None, [], ""
        )
        return summed
