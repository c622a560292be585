"""Encoder, bridge and decoder as one module: an input becomes annotations, and annotations become words."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.config import Settings
from regard.decoders import Decoder, DecoderSettings, build_decoder
from regard.encoders.image import ImageEncoder, ImageEncoderSettings


class BridgeSettings(Settings):
    """A linear map with layer normalisation between encoder and decoder.

    It brings annotations to the size that a decoder wants (a dot score compares equal sizes) and makes every product
    with them cheaper.
    """

    dim: int = Field(512, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    """On the annotations before the map."""


class Bridge(nn.Module):
    """Annotations of one size to annotations of another, position by position."""

    def __init__(self, settings: BridgeSettings, *, dim: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(settings.dropout)
        self.linear = nn.Linear(dim, settings.dim)
        self.norm = nn.LayerNorm(settings.dim)

    def forward(self, values: Tensor) -> Tensor:
        """[batch, position, dim] to [batch, position, settings.dim]."""
        bridged: Tensor = self.norm(self.linear(self.dropout(values)))
        return bridged


class ModelSettings(Settings):
    """A whole model: what reads, what stands between, what writes."""

    encoder: ImageEncoderSettings
    bridge: BridgeSettings | None = None
    decoder: DecoderSettings


class EncoderDecoder(nn.Module):
    """One class for both tasks: only the encoder differs.

    Args:
        settings: its parts.
        vocabulary_size: number of tokens that the decoder writes.
    """

    def __init__(self, settings: ModelSettings, *, vocabulary_size: int) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = ImageEncoder(settings.encoder)
        self.bridge = None if settings.bridge is None else Bridge(settings.bridge, dim=self.encoder.dim)
        dim = self.encoder.dim if settings.bridge is None else settings.bridge.dim
        self.decoder: Decoder = build_decoder(settings.decoder, dim=dim, vocabulary_size=vocabulary_size)

    def annotate(self, *inputs: Tensor) -> Annotations:
        """What the decoder looks at, from what the encoder reads (pixels, or tokens and their mask)."""
        return self.bridged(self.encoder(*inputs))

    def bridged(self, annotations: Annotations) -> Annotations:
        """The encoder's annotations as the decoder takes them."""
        if self.bridge is None:
            return annotations
        return replace(annotations, values=self.bridge(annotations.values), summary=None)
