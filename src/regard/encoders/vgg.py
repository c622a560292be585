"""VGG: a stack of 3×3 convolutions, five times halved, and three fully connected layers on top.

Simonyan & Zisserman 2015 ("Very Deep Convolutional Networks for Large-Scale Image Recognition", table 1, column D: 16
layers with weights). Show, Attend and Tell reads its annotations from the last convolutions before the last pool,
14×14×512 for 224×224 pixels (Xu et al. 2015, §3.1.1), here the layer ``conv5_3``.

Parameters are named and shaped as in torchvision, so that its checkpoints load unchanged. As there, the classifier
first pools to 7×7, which changes nothing for 224×224 pixels and lets every other size through.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regard.encoders.network import ConvNet, Layer

STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
"""Number of convolutions and channels of each stage; a pool that halves the grid ends it."""

CLASSIFIER_GRID = 7
HIDDEN = 4096
DROPOUT = 0.5

NAMES = ("vgg16", "vgg16_bn")


class VGG(ConvNet):
    """``conv1_1`` … ``conv5_3``, each a convolution, a batch norm (``vgg16_bn``) and a ReLU; ``pool1`` … ``pool5``."""

    def __init__(self, name: str, *, num_classes: int = 1000) -> None:
        super().__init__(name, _layers(), default_layer="conv5_3")
        self.features = nn.Sequential()
        self._feature_indices: dict[str, range] = {}
        channels = 3
        for layer in self.layers:
            outputs = self.channels(layer)
            first = len(self.features)
            if layer.startswith("pool"):
                self.features.append(nn.MaxPool2d(2))
            else:
                self.features.extend(_convolution(channels, outputs, batch_norm=name.endswith("_bn")))
            self._feature_indices[layer] = range(first, len(self.features))
            channels = outputs
        self.classifier = nn.Sequential(
            nn.Linear(channels * CLASSIFIER_GRID**2, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN, num_classes),
        )

    def positions(self, layer: str, pixels: int) -> int:
        # A pool drops the odd row at the end, where the strided convolutions of the other networks keep it.
        return pixels // self.stride(layer)

    def classify(self, features: Tensor) -> Tensor:
        """Pool to 7×7, flatten, three fully connected layers: [batch, 512, rows, columns] → [batch, classes]."""
        pooled = F.adaptive_avg_pool2d(features, CLASSIFIER_GRID)
        logits: Tensor = self.classifier(torch.flatten(pooled, start_dim=1))
        return logits

    def _layer_paths(self, layer: str) -> Iterable[str]:
        return (f"features.{index}" for index in self._feature_indices[layer])

    def _classifier_paths(self) -> Iterable[str]:
        return ("classifier",)


def _convolution(inputs: int, outputs: int, *, batch_norm: bool) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
    norm = [nn.BatchNorm2d(outputs)] if batch_norm else []
    return [convolution, *norm, nn.ReLU(inplace=True)]


def _layers() -> list[Layer]:
    layers = []
    for stage, (convolutions, channels) in enumerate(STAGES, start=1):
        names = (f"conv{stage}_{number}" for number in range(1, convolutions + 1))
        layers += [Layer(name, channels, 2 ** (stage - 1)) for name in names]
        layers.append(Layer(f"pool{stage}", channels, 2**stage))
    return layers
