"""Encoders: a picture or a sentence in, annotations out."""

from __future__ import annotations

from collections.abc import Callable

from regard.encoders.efficientnet_lite import SCALES, EfficientNetLite
from regard.encoders.network import ConvNet, initialise, unknown_name
from regard.encoders.resnet import DEPTHS, ResNet
from regard.encoders.vgg import NAMES, VGG

NETWORKS: dict[str, Callable[..., ConvNet]] = {
    **dict.fromkeys(NAMES, VGG),
    **dict.fromkeys(DEPTHS, ResNet),
    **dict.fromkeys(SCALES, EfficientNetLite),
}
"""The class of every convolutional network by its name."""


def build_network(name: str, *, num_classes: int = 1000) -> ConvNet:
    """A convolutional network with fresh random weights, in evaluation mode.

    Raises:
        ConfigError: there is no network of that name.
    """
    if name not in NETWORKS:
        raise unknown_name("network", name, NETWORKS)
    network = NETWORKS[name](name, num_classes=num_classes)
    initialise(network)
    return network.eval()
