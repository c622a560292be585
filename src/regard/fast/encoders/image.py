"""Networks of pictures prepared for inference, with the same numbers up to rounding.

Batch norms are folded, and in EfficientNet-Lite every convolution is fused with the ReLU6 or the addition after it.

For every lower precision EfficientNet-Lite computes in bfloat16 from its second stage on. What lies before is little
work, but its rounding errors grow on the way: with it in bfloat16 too, captions lose three times as much.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regard.encoders.efficientnet_lite import EfficientNetLite, InvertedResidual, StridedConv2d
from regard.encoders.image import ImageEncoder
from regard.encoders.network import ConvNet
from regard.fast.support import on_cpu
from regard.ops.convolutions import FusedConvolution, can_fuse
from regard.ops.linear import InferencePrecision

FIRST_BFLOAT16 = "stage2"
"""The first stage of EfficientNet-Lite that computes in bfloat16 where that is asked for."""


def twin(encoder: ImageEncoder, precision: InferencePrecision) -> ImageEncoder | None:
    """A copy of the encoder with a prepared network on a CPU, else None."""
    if not on_cpu(encoder):
        return None
    return encoder.with_network(prepare_network(encoder.network, bfloat16=precision != "float32"))


def prepare_network(network: ConvNet, *, bfloat16: bool = False) -> ConvNet:
    """A copy of a network for square pictures; later changes to its parameters are not seen.

    Args:
        network: any.
        bfloat16: whether an EfficientNet-Lite computes in bfloat16 from :data:`FIRST_BFLOAT16` on.
    """
    copy = network.fused()
    if not isinstance(copy, EfficientNetLite) or not can_fuse(next(copy.parameters())):
        return copy
    low = copy.layers[copy.index(FIRST_BFLOAT16) :] if bfloat16 and FIRST_BFLOAT16 in copy.layers else ()
    paths = {module: path for path, module in copy.named_modules()}
    for layer in copy.layers:
        dtype = torch.bfloat16 if layer in low else torch.float32
        for module in copy.layer_modules(layer):
            module.to(dtype)
            if isinstance(module, InvertedResidual):
                copy.set_submodule(paths[module], _FusedResidual(module, dtype))
    return copy


class _FusedResidual(nn.Module):
    """An :class:`InvertedResidual` in three operations."""

    def __init__(self, block: InvertedResidual, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.adds_input = block.adds_input
        self.expand = _fuse(block._expand_conv, relu6=True) if block.expands else None
        self.filter = _fuse(block._depthwise_conv, relu6=True)
        self.project = _fuse(block._project_conv, relu6=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.dtype)
        inner = x if self.expand is None else self.expand(x)
        output: Tensor = self.project(self.filter(inner), x if self.adds_input else None)
        return output


class _EvenOrOdd(nn.Module):
    """A convolution of stride 2 under the rule of :class:`StridedConv2d`, without a padded copy of its input.

    Inputs of even size are padded by one pixel more at the far end. The same results come from equal padding on both
    sides and a kernel that is padded at its near end by a row and a column of zeros.
    """

    def __init__(self, convolution: StridedConv2d) -> None:
        super().__init__()
        weight, bias, size = convolution.weight, convolution.bias, convolution.kernel_size[0]
        assert size % 2 == 1, "kernels have a middle"
        assert convolution.stride == (2, 2), "inputs are halved"
        padded, padding = F.pad(weight, (1, 0, 1, 0)), size // 2
        options = {"stride": 2, "padding": padding, "groups": convolution.groups}
        self.even = FusedConvolution(padded, bias, **options, relu6=True)
        self.odd = FusedConvolution(weight, bias, **options, relu6=True)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[-1] == x.shape[-2], "pictures are squares"
        result: Tensor = self.odd(x) if x.shape[-1] % 2 else self.even(x)
        return result


def _fuse(convolution: nn.Conv2d, *, relu6: bool) -> nn.Module:
    if isinstance(convolution, StridedConv2d):
        assert relu6, "a convolution of stride 2 is followed by ReLU6"
        return _EvenOrOdd(convolution)
    padding, groups = convolution.kernel_size[0] // 2, convolution.groups
    weight, bias = convolution.weight, convolution.bias
    return FusedConvolution(weight, bias, stride=1, padding=padding, groups=groups, relu6=relu6)
