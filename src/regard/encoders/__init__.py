"""Encoders: a picture or a sentence in, annotations out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from regard.config import ByName, PartSettings
from regard.encoders.network import ConvNet, initialise
from regard.encoders.text import TextEncoder
from regard.registry import Registry

ENCODERS: Registry[Any] = Registry(
    "encoder",
    {
        "image": "regard.encoders.image:ImageEncoder",
        "recurrent": "regard.encoders.recurrent:RecurrentEncoder",
        "transformer": "regard.encoders.transformer:TransformerEncoder",
    },
)
"""The class of every encoder by its name; an encoder of pictures goes by the name of its network."""

EncoderSettings = Annotated[PartSettings, ByName(ENCODERS, default="image")]
"""Settings of one of the encoders."""

NETWORKS: Registry[Callable[..., ConvNet]] = Registry(
    "network",
    {
        **dict.fromkeys(("vgg16", "vgg16_bn"), "regard.encoders.vgg:VGG"),
        **{f"resnet{depth}": "regard.encoders.resnet:ResNet" for depth in (18, 34, 50, 101, 152)},
        **{f"efficientnet_lite{size}": "regard.encoders.efficientnet_lite:EfficientNetLite" for size in range(5)},
    },
)
"""The class of every convolutional network by its name."""


def build_network(name: str, *, num_classes: int = 1000) -> ConvNet:
    """A convolutional network with fresh random weights, in evaluation mode.

    Raises:
        ConfigError: there is no network of that name.
    """
    network = NETWORKS[name](name, num_classes=num_classes)
    initialise(network)
    return network.eval()


def build_text_encoder(settings: PartSettings, *, vocabulary_size: int) -> TextEncoder:
    """The encoder of sentences that ``settings`` describe.

    Raises:
        ConfigError: sizes that do not fit together.
    """
    encoder: TextEncoder = ENCODERS[settings.name](settings, vocabulary_size=vocabulary_size)
    return encoder
