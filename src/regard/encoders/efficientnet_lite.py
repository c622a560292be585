"""EfficientNet-Lite: a small convolutional network for processors without an accelerator.

Tan & Le 2019 ("EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", table 1 and §3.3) in the
Lite form that was released in 2020: no squeeze-and-excitation, ReLU6 in place of swish, and a stem and a head that are
the same at every scale. The stages are inverted residual blocks with linear bottlenecks (Sandler et al. 2018, §3):
expand the channels with a 1×1 convolution, filter each alone with a k×k one, project back with a 1×1 one, and add the
input where the shapes agree.

Parameters are named as in the published PyTorch checkpoints. Ours differs in one thing: stochastic depth, which the
original uses in training from scratch, is left out, because here the network only runs frozen or is fine-tuned.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from regard.encoders.network import ConvNet, Layer


class Scale(NamedTuple):
    """How one member of the family is scaled: factors on width and depth, and the input size in pixels."""

    width: float
    depth: float
    input_size: int


SCALES = {
    "efficientnet_lite0": Scale(1.0, 1.0, 224),
    "efficientnet_lite1": Scale(1.0, 1.1, 240),
    "efficientnet_lite2": Scale(1.1, 1.2, 260),
    "efficientnet_lite3": Scale(1.2, 1.4, 280),
    "efficientnet_lite4": Scale(1.4, 1.8, 300),
}


class Stage(NamedTuple):
    """One row of table 1: a run of equal blocks, of which only the first has the stride."""

    kernel: int
    repeats: int
    channels: int
    expansion: int
    stride: int


STAGES = (
    Stage(3, 1, 16, 1, 1),
    Stage(3, 2, 24, 6, 2),
    Stage(5, 2, 40, 6, 2),
    Stage(3, 3, 80, 6, 2),
    Stage(5, 3, 112, 6, 1),
    Stage(5, 4, 192, 6, 2),
    Stage(3, 1, 320, 6, 1),
)
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
PIXEL_MEAN = 127.0
PIXEL_DEVIATION = 128.0


class StridedConv2d(nn.Conv2d):
    """A convolution padded so that n inputs give ⌈n / stride⌉ outputs, with the odd pixel of padding at the far end.

    This is TensorFlow's "SAME" rule, under which the weights were trained; where the padding is odd, no symmetric
    setting of :class:`torch.nn.Conv2d` gives the same numbers.
    """

    def forward(self, input: Tensor) -> Tensor:
        rows = _padding(input.shape[-2], self.kernel_size[0], self.stride[0])
        columns = _padding(input.shape[-1], self.kernel_size[1], self.stride[1])
        symmetric = (0, 0)
        if rows % 2 == 0 and columns % 2 == 0:
            symmetric = (rows // 2, columns // 2)
        else:
            input = F.pad(input, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return F.conv2d(input, self.weight, self.bias, self.stride, symmetric, groups=self.groups)


def _padding(size: int, kernel: int, stride: int) -> int:
    return max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    if stride > 1:
        return StridedConv2d(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    # The original's decay of 0.99 is a momentum of 0.01 in PyTorch's terms.
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """One block: expand, filter each channel, project; plus the input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expands = expansion > 1
        self.adds_input = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = _convolution(inputs, inner, 1)
            self._bn0 = _batch_norm(inner)
        self._depthwise_conv = _convolution(inner, inner, kernel, stride=stride, groups=inner)
        self._bn1 = _batch_norm(inner)
        self._project_conv = _convolution(inner, outputs, 1)
        self._bn2 = _batch_norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu6(self._bn0(self._expand_conv(x)), inplace=True) if self.expands else x
        inner = F.relu6(self._bn1(self._depthwise_conv(inner)), inplace=True)
        output: Tensor = self._bn2(self._project_conv(inner))
        return output + x if self.adds_input else output


class EfficientNetLite(ConvNet):
    """``stem`` (stride 2), ``stage1`` … ``stage7`` (table 1) and ``head`` (1×1 convolution to 1280 channels)."""

    def __init__(self, name: str, *, num_classes: int = 1000) -> None:
        scale = SCALES[name]
        stages = [
            _scaled(stage, scale, fixed_depth=index in (0, len(STAGES) - 1)) for index, stage in enumerate(STAGES)
        ]
        super().__init__(
            name,
            _layers(stages),
            default_layer="head",
            input_size=scale.input_size,
            mean=(PIXEL_MEAN, PIXEL_MEAN, PIXEL_MEAN),
            deviation=(PIXEL_DEVIATION, PIXEL_DEVIATION, PIXEL_DEVIATION),
        )
        self._conv_stem = _convolution(3, STEM_CHANNELS, 3, stride=2)
        self._bn0 = _batch_norm(STEM_CHANNELS)
        self._blocks = nn.ModuleList()
        self._stage_blocks: dict[str, range] = {}
        channels = STEM_CHANNELS
        for number, stage in enumerate(stages, start=1):
            first = len(self._blocks)
            for repeat in range(stage.repeats):
                self._blocks.append(_block(channels, stage, stride=stage.stride if repeat == 0 else 1))
                channels = stage.channels
            self._stage_blocks[f"stage{number}"] = range(first, len(self._blocks))
        self._conv_head = _convolution(channels, HEAD_CHANNELS, 1)
        self._bn1 = _batch_norm(HEAD_CHANNELS)
        self._fc = nn.Linear(HEAD_CHANNELS, num_classes)

    def classify(self, features: Tensor) -> Tensor:
        """Mean over all positions, then one linear map: [batch, 1280, rows, columns] → [batch, classes]."""
        logits: Tensor = self._fc(features.mean(dim=(2, 3)))
        return logits

    def linear_classifier(self) -> nn.Linear | None:
        return self._fc if isinstance(self._fc, nn.Linear) else None

    def _layer_paths(self, layer: str) -> Iterable[str]:
        if layer == "stem":
            return ("_conv_stem", "_bn0")
        if layer == "head":
            return ("_conv_head", "_bn1")
        return (f"_blocks.{index}" for index in self._stage_blocks[layer])

    def _classifier_paths(self) -> Iterable[str]:
        return ("_fc",)

    def _run_layer(self, layer: str, x: Tensor) -> Tensor:
        x = super()._run_layer(layer, x)
        return F.relu6(x, inplace=True) if layer in ("stem", "head") else x


def _scaled(stage: Stage, scale: Scale, *, fixed_depth: bool) -> Stage:
    """Widen and deepen a stage; the first and the last keep their depth, as stem and head keep their width."""
    repeats = stage.repeats if fixed_depth else math.ceil(stage.repeats * scale.depth)
    return stage._replace(repeats=repeats, channels=_round_to_eight(stage.channels * scale.width))


def _round_to_eight(channels: float) -> int:
    """The nearest multiple of 8 that is not below 90 % of ``channels``."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _block(inputs: int, stage: Stage, *, stride: int) -> InvertedResidual:
    return InvertedResidual(inputs, stage.channels, kernel=stage.kernel, stride=stride, expansion=stage.expansion)


def _layers(stages: list[Stage]) -> list[Layer]:
    stride = 2
    layers = [Layer("stem", STEM_CHANNELS, stride)]
    for number, stage in enumerate(stages, start=1):
        stride *= stage.stride
        layers.append(Layer(f"stage{number}", stage.channels, stride))
    return [*layers, Layer("head", HEAD_CHANNELS, stride)]
