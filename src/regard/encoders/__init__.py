"""Encoders: a picture or a sentence in, annotations out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from regard.encoders.efficientnet_lite import SCALES, EfficientNetLite
from regard.encoders.network import ConvNet, initialise
from regard.encoders.recurrent import RecurrentEncoder, RecurrentSettings
from regard.encoders.resnet import DEPTHS, ResNet
from regard.encoders.text import TextEncoder
from regard.encoders.transformer import TransformerEncoder, TransformerEncoderSettings
from regard.encoders.vgg import NAMES, VGG
from regard.errors import unknown_name

TextEncoderSettings = Annotated[RecurrentSettings | TransformerEncoderSettings, Field(discriminator="name")]

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


def build_text_encoder(settings: TextEncoderSettings, *, vocabulary_size: int) -> TextEncoder:
    """The encoder of sentences that ``settings`` describe.

    Raises:
        ConfigError: sizes that do not fit together.
    """
    match settings:
        case RecurrentSettings():
            return RecurrentEncoder(settings, vocabulary_size=vocabulary_size)
        case TransformerEncoderSettings():
            return TransformerEncoder(settings, vocabulary_size=vocabulary_size)
