"""Networks made ready for inference: batch norms folded, and in EfficientNet-Lite every convolution one operation with
the rectifier or the addition that follows it. The numbers are the same up to rounding.

Where bfloat16 is asked for, EfficientNet-Lite calculates in it from its second stage on. What lies before is little
work, but its rounding errors grow on the way: with it in bfloat16 too, captions lose three times as much.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regard.encoders.efficientnet_lite import EfficientNetLite, InvertedResidual, StridedConv2d
from regard.encoders.network import ConvNet
from regard.ops.convolutions import FusedConvolution, can_fuse

FIRST_ROUNDED = "stage2"
"""The first stage of EfficientNet-Lite that calculates in bfloat16 where that is asked for."""


def ready_network(network: ConvNet, *, rounded: bool = False) -> ConvNet:
    """A copy of a network for pictures that are squares; later changes to its parameters are not seen.

    Args:
        network: any.
        rounded: whether an EfficientNet-Lite calculates in bfloat16 from :data:`FIRST_ROUNDED` on.
    """
    twin = network.fused()
    if not isinstance(twin, EfficientNetLite) or not can_fuse(next(twin.parameters())):
        return twin
    low = twin.layers[twin.index(FIRST_ROUNDED) :] if rounded and FIRST_ROUNDED in twin.layers else ()
    paths = {module: path for path, module in twin.named_modules()}
    for layer in twin.layers:
        dtype = torch.bfloat16 if layer in low else torch.float32
        for module in twin.layer_modules(layer):
            module.to(dtype)
            if isinstance(module, InvertedResidual):
                twin.set_submodule(paths[module], _ReadyResidual(module, dtype))
    return twin


class _ReadyResidual(nn.Module):
    """An :class:`InvertedResidual` in three operations."""

    def __init__(self, block: InvertedResidual, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.adds_input = block.adds_input
        self.expand = _ready(block._expand_conv, rectified=True) if block.expands else None
        self.filter = _ready(block._depthwise_conv, rectified=True)
        self.project = _ready(block._project_conv, rectified=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.dtype)
        inner = x if self.expand is None else self.expand(x)
        output: Tensor = self.project(self.filter(inner), x if self.adds_input else None)
        return output


class _EvenOrOdd(nn.Module):
    """A convolution of stride 2 under the rule of :class:`StridedConv2d`, without a padded copy of its input.

    Inputs of even size are padded by one pixel more at the far end. The same results come from equal padding on both
    sides and a kernel that is grown at its near end by a row and a column of zeros.
    """

    def __init__(self, convolution: StridedConv2d) -> None:
        super().__init__()
        weight, bias, size = convolution.weight, convolution.bias, convolution.kernel_size[0]
        assert size % 2 == 1, "kernels have a middle"
        assert convolution.stride == (2, 2), "inputs are halved"
        grown, padding = F.pad(weight, (1, 0, 1, 0)), size // 2
        options = {"stride": 2, "padding": padding, "groups": convolution.groups}
        self.even = FusedConvolution(grown, bias, **options, rectified=True)
        self.odd = FusedConvolution(weight, bias, **options, rectified=True)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[-1] == x.shape[-2], "pictures are squares"
        result: Tensor = self.odd(x) if x.shape[-1] % 2 else self.even(x)
        return result


def _ready(convolution: nn.Conv2d, *, rectified: bool) -> nn.Module:
    if isinstance(convolution, StridedConv2d):
        assert rectified, "what halves its input is rectified"
        return _EvenOrOdd(convolution)
    padding, groups = convolution.kernel_size[0] // 2, convolution.groups
    weight, bias = convolution.weight, convolution.bias
    return FusedConvolution(weight, bias, stride=1, padding=padding, groups=groups, rectified=rectified)
