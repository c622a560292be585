"""ResNet: blocks that learn what to add to their input.

He et al. 2016 ("Deep Residual Learning for Image Recognition", table 1): y = F(x) + x, where F is two 3×3 convolutions
(18 and 34 layers) or a 1×1–3×3–1×1 bottleneck (50, 101 and 152 layers), and x goes through a 1×1 convolution where the
shape changes (equation 2, option B).

Parameters are named and shaped as in torchvision, so that its checkpoints load unchanged. As there, and unlike the
paper, a bottleneck takes its stride in the 3×3 convolution, which is slightly more accurate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from regard.encoders.network import ConvNet, Layer

STEM_CHANNELS = 64
STAGE_WIDTHS = (64, 128, 256, 512)
BOTTLENECK_EXPANSION = 4


class Depth(NamedTuple):
    """One column of table 1: the kind of block and how many of them each stage has."""

    bottleneck: bool
    blocks: tuple[int, int, int, int]


DEPTHS = {
    "resnet18": Depth(False, (2, 2, 2, 2)),
    "resnet34": Depth(False, (3, 4, 6, 3)),
    "resnet50": Depth(True, (3, 4, 6, 3)),
    "resnet101": Depth(True, (3, 4, 23, 3)),
    "resnet152": Depth(True, (3, 8, 36, 3)),
}


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and the input (figure 5, left)."""

    def __init__(self, inputs: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(inputs, width, 3, stride=stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return _add(out, x if self.downsample is None else self.downsample(x))


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions, the middle one at a quarter of the width, and the input (figure 5, right)."""

    def __init__(self, inputs: int, width: int, *, stride: int) -> None:
        super().__init__()
        outputs = width * BOTTLENECK_EXPANSION
        self.conv1 = _convolution(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3, stride=stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _convolution(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        return _add(out, x if self.downsample is None else self.downsample(x))


class ResNet(ConvNet):
    """``stem`` (7×7 convolution and 3×3 max-pool, stride 4) and ``layer1`` … ``layer4`` (strides 4, 8, 16, 32)."""

    def __init__(self, name: str, *, num_classes: int = 1000) -> None:
        depth = DEPTHS[name]
        expansion = BOTTLENECK_EXPANSION if depth.bottleneck else 1
        super().__init__(name, _layers(expansion), default_layer="layer4")
        self.conv1 = nn.Conv2d(3, STEM_CHANNELS, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        stages = zip(self.layers[1:], STAGE_WIDTHS, depth.blocks, strict=True)
        block = Bottleneck if depth.bottleneck else BasicBlock
        channels = STEM_CHANNELS
        for stage, width, repeats in stages:
            first = block(channels, width, stride=1 if stage == "layer1" else 2)
            channels = width * expansion
            self.add_module(
                stage, nn.Sequential(first, *(block(channels, width, stride=1) for _ in range(repeats - 1)))
            )
        self.fc = nn.Linear(channels, num_classes)

    def classify(self, features: Tensor) -> Tensor:
        """Mean over all positions, then one linear map: [batch, channels, rows, columns] → [batch, classes]."""
        logits: Tensor = self.fc(features.mean(dim=(2, 3)))
        return logits

    def linear_classifier(self) -> nn.Linear | None:
        return self.fc if isinstance(self.fc, nn.Linear) else None

    def _layer_paths(self, layer: str) -> Iterable[str]:
        return ("conv1", "bn1") if layer == "stem" else (layer,)

    def _classifier_paths(self) -> Iterable[str]:
        return ("fc",)

    def _run_layer(self, layer: str, x: Tensor) -> Tensor:
        x = super()._run_layer(layer, x)
        return F.max_pool2d(F.relu(x, inplace=True), 3, stride=2, padding=1) if layer == "stem" else x


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(_convolution(inputs, outputs, 1, stride=stride), nn.BatchNorm2d(outputs))


def _add(out: Tensor, shortcut: Tensor) -> Tensor:
    # In place, because no backward pass needs ``out`` itself; ``shortcut`` may be the input of the block and stays.
    return F.relu(out.add_(shortcut), inplace=True)


def _layers(expansion: int) -> list[Layer]:
    stages = (Layer(f"layer{n}", width * expansion, 2 ** (n + 1)) for n, width in enumerate(STAGE_WIDTHS, start=1))
    return [Layer("stem", STEM_CHANNELS, 4), *stages]
