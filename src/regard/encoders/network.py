"""The interface of convolutional networks: named layers, run from any one to any other.

A layer's output is a grid of vectors, one per region of the picture, and any layer can be the annotation grid. Because
``run`` can begin after a layer as well as end at one, a frozen trunk is computed once and cached while only the layers
behind it train.
"""

from __future__ import annotations

import abc
import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from regard.errors import ConfigError, unknown_name

PRETRAINED = "pretrained"
"""Stands for the published weights of a network, where the path of a file could stand."""
SMALLEST_INPUT = 32
"""The least height and width in pixels: every network here halves its input at most five times."""

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_DEVIATION = (58.395, 57.12, 57.375)
"""Mean and standard deviation of ImageNet's RGB values from 0 to 255, the scaling of torchvision's checkpoints."""


@dataclass(frozen=True)
class Layer:
    """One named layer: its number of channels and how many input pixels one step on its grid covers."""

    name: str
    channels: int
    stride: int


class ConvNet(nn.Module, abc.ABC):
    """A convolutional network whose layers have names.

    Attributes:
        name: the name that :func:`regard.encoders.build_network` knows it by.
        default_layer: the layer that serves as the annotation grid unless another is chosen.
        input_size: height and width in pixels that the published weights were trained for; other sizes work too.
    """

    def __init__(
        self,
        name: str,
        layers: Iterable[Layer],
        *,
        default_layer: str,
        input_size: int = 224,
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        deviation: tuple[float, float, float] = IMAGENET_DEVIATION,
    ) -> None:
        super().__init__()
        self.name = name
        self.default_layer = default_layer
        self.input_size = input_size
        self._layers = {layer.name: layer for layer in layers}
        # The device is named so that a network laid out on the meta device still has its constants.
        scale = torch.tensor([1 / each for each in deviation], device="cpu").view(1, 3, 1, 1)
        offset = torch.tensor([-m / d for m, d in zip(mean, deviation, strict=True)], device="cpu").view(1, 3, 1, 1)
        self.register_buffer("pixel_scale", scale, persistent=False)
        self.register_buffer("pixel_offset", offset, persistent=False)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of all layers, in the order in which they run."""
        return tuple(self._layers)

    def channels(self, layer: str) -> int:
        """The number of channels of a layer's output."""
        return self._find(layer).channels

    def stride(self, layer: str) -> int:
        """How many input pixels lie between two neighbouring positions of a layer's output."""
        return self._find(layer).stride

    def normalise(self, pixels: Tensor) -> Tensor:
        """Scale RGB values as the network's weights expect them: uint8 [batch, H, W, 3] → float32 [batch, 3, H, W].

        The result keeps the memory order of the pixels, which is PyTorch's channels-last.
        """
        assert pixels.dtype == torch.uint8, f"pixels are uint8, not {pixels.dtype}"
        assert pixels.dim() == 4, f"pixels are [batch, H, W, 3], not {tuple(pixels.shape)}"
        assert pixels.shape[3] == 3, f"pixels are [batch, H, W, 3], not {tuple(pixels.shape)}"
        x = pixels.permute(0, 3, 1, 2).float()
        return x.mul_(self.get_buffer("pixel_scale")).add_(self.get_buffer("pixel_offset"))

    def run(self, x: Tensor, *, after: str | None = None, until: str) -> Tensor:
        """Run the layers behind ``after`` up to and including ``until``.

        Args:
            x: a normalised image batch [batch, 3, H, W] of at least 32 × 32 pixels; or, where ``after`` is given, that
                layer's output [batch, channels, rows, columns].
            after: the layer whose output ``x`` is; None begins at the image.
            until: the last layer to run.

        Returns:
            The output of ``until``, [batch, channels, rows, columns]; ``x`` itself where ``until`` is ``after``.

        Raises:
            ConfigError: a layer is unknown, or ``until`` lies before ``after``.
        """
        end = self.index(until)
        begin = 0 if after is None else self.index(after) + 1
        if begin > end + 1:
            raise ConfigError(f"layer {until!r} of {self.name} lies before layer {after!r}")
        smallest = min(x.shape[-2:])
        assert begin > 0 or smallest >= SMALLEST_INPUT, (
            f"images need {SMALLEST_INPUT} × {SMALLEST_INPUT} pixels or more"
        )
        for layer in self.layers[begin : end + 1]:
            x = self._run_layer(layer, x)
        return x

    def forward(self, pixels: Tensor) -> Tensor:
        """Class scores of a picture: uint8 [batch, H, W, 3] → logits [batch, classes]."""
        return self.classify(self.run(self.normalise(pixels), until=self.layers[-1]))

    @abc.abstractmethod
    def classify(self, features: Tensor) -> Tensor:
        """The classifier: the last layer's output [batch, channels, rows, columns] → logits [batch, classes]."""

    def linear_classifier(self) -> nn.Linear | None:
        """The one linear map that the classifier is behind the mean over the last layer's positions; None where it is
        more than that, or where the network was truncated."""
        return None

    @abc.abstractmethod
    def _layer_paths(self, layer: str) -> Iterable[str]:
        """The paths of the modules that a layer is made of, in the order in which they run."""

    @abc.abstractmethod
    def _classifier_paths(self) -> Iterable[str]:
        """The paths of the modules that the classifier is made of."""

    def _run_layer(self, layer: str, x: Tensor) -> Tensor:
        """Run one layer on the output of the layer before it."""
        for module in self.layer_modules(layer):
            x = module(x)
        return x

    def layer_modules(self, layer: str) -> tuple[nn.Module, ...]:
        """The modules that a layer is made of, and with them its parameters.

        Raises:
            ConfigError: there is no such layer.
        """
        self._find(layer)
        return tuple(self.get_submodule(path) for path in self._layer_paths(layer))

    def positions(self, layer: str, pixels: int) -> int:
        """The rows (or columns) of a layer's output for an input of so many pixels in height (or width)."""
        return math.ceil(pixels / self.stride(layer))

    def truncate(self, layer: str) -> None:
        """Let go of the classifier and of all layers behind ``layer``, which shrinks memory and files.

        Raises:
            ConfigError: there is no such layer.
        """
        surplus = self.layers[self.index(layer) + 1 :]
        for path in [*self._classifier_paths(), *(path for name in surplus for path in self._layer_paths(name))]:
            self.set_submodule(path, nn.Identity())
        for name in surplus:
            del self._layers[name]

    def index(self, layer: str) -> int:
        """The place of a layer in :attr:`layers`.

        Raises:
            ConfigError: there is no such layer.
        """
        self._find(layer)
        return self.layers.index(layer)

    def fused(self) -> ConvNet:
        """A copy for inference with every batch norm folded into the convolution before it.

        A batch norm in evaluation mode is an affine map per channel, and so is the end of a convolution:
        W' = W γ / √(σ² + ε), b' = (b − μ) γ / √(σ² + ε) + β (Jacob et al. 2018, §3.2, equation 14).
        """
        twin = copy.deepcopy(self).eval().requires_grad_(False)
        before: tuple[str, nn.Module] = ("", twin)
        for path, module in list(twin.named_modules()):
            if isinstance(module, nn.BatchNorm2d):
                convolution = before[1]
                assert isinstance(convolution, nn.Conv2d), f"{path} is registered right behind its convolution"
                twin.set_submodule(before[0], _fold(convolution, module).requires_grad_(False))
                twin.set_submodule(path, nn.Identity())
            before = (path, module)
        return twin

    def _find(self, layer: str) -> Layer:
        found = self._layers.get(layer)
        if found is None:
            raise unknown_name("layer", layer, self.layers, owner=self.name)
        return found


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """The convolution that does the work of both, in evaluation mode."""
    if not convolution.weight.is_meta:
        return fuse_conv_bn_eval(convolution, norm)
    # without numbers there is nothing to compute, and computing nothing makes torch import half of itself
    folded = copy.deepcopy(convolution)
    folded.bias = nn.Parameter(convolution.weight.new_empty(convolution.out_channels))
    return folded


def initialise(network: nn.Module) -> None:
    """Draw fresh weights: normal with variance 2 / fan-out for convolutions (He et al. 2015, equation 14), with a
    deviation of 0.01 for the classifier; batch norms begin as the identity already."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
