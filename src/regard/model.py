"""Encoder, bridge and decoder as one module: an input becomes annotations, and annotations become words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.config import Settings
from regard.decoders import Decoder, DecoderSettings, build_decoder
from regard.encoders import EncoderSettings, build_text_encoder
from regard.encoders.concepts import ConceptEmbedding, concept_words
from regard.encoders.image import ImageEncoder, ImageEncoderSettings
from regard.encoders.text import TextEncoder
from regard.errors import ConfigError


class BridgeSettings(Settings):
    """A linear map with layer normalisation between encoder and decoder.

    It brings annotations to the size that a decoder wants (a dot score compares equal sizes) and makes every product
    with them cheaper.
    """

    dim: int = Field(512, ge=1, le=8192)
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
    """A whole model: encoder, bridge and decoder."""

    encoder: EncoderSettings
    bridge: BridgeSettings | None = None
    decoder: DecoderSettings
    shared_embeddings: bool = False
    """Encoder and decoder of sentences use one matrix E, for a joint vocabulary."""


class EncoderDecoder(nn.Module):
    """One class for both tasks: only the encoder differs.

    Args:
        settings: its parts.
        vocabulary_size: number of tokens that the decoder writes.
        source_vocabulary_size: number of tokens that an encoder of sentences reads; 0 for pictures.

    Raises:
        ConfigError: parts whose sizes do not fit together.
    """

    def __init__(self, settings: ModelSettings, *, vocabulary_size: int, source_vocabulary_size: int = 0) -> None:
        super().__init__()
        self.settings = settings
        self.encoder: ImageEncoder | TextEncoder
        if isinstance(settings.encoder, ImageEncoderSettings):
            self.encoder = ImageEncoder(settings.encoder)
        else:
            self.encoder = build_text_encoder(settings.encoder, vocabulary_size=source_vocabulary_size)
        self.bridge = None if settings.bridge is None else Bridge(settings.bridge, dim=self.encoder.dim)
        dim = self.annotation_dim
        backward_dim = self.encoder.backward_dim if self.bridge is None and isinstance(self.encoder, TextEncoder) else 0
        self.decoder: Decoder = build_decoder(
            settings.decoder, dim=dim, vocabulary_size=vocabulary_size, backward_dim=backward_dim
        )
        self.concepts: ConceptEmbedding | None = None
        if isinstance(settings.encoder, ImageEncoderSettings) and settings.encoder.concepts:
            words = self._word_embeddings()
            self.concepts = ConceptEmbedding(dim=dim, embedding=dim if words is None else words.shape[1])
        if settings.shared_embeddings:
            _share_embeddings(self.encoder, self.decoder)

    @property
    def annotation_dim(self) -> int:
        """Size of an annotation as the decoder takes it."""
        return self.encoder.dim if self.settings.bridge is None else self.settings.bridge.dim

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next(self.parameters()).device

    def annotate(self, *inputs: Tensor) -> Annotations:
        """The annotations that the decoder attends to, from pixels, or from tokens and their mask."""
        return self.bridged(self.encoder(*inputs))

    def bridged(self, annotations: Annotations) -> Annotations:
        """The encoder's annotations as the decoder takes them."""
        if self.bridge is not None:
            annotations = replace(annotations, values=self.bridge(annotations.values), summary=None)
        return annotations if self.concepts is None else self.concepts(annotations, self._word_embeddings())

    def name_concepts(self, tokens: Callable[[str], int | None]) -> None:
        """Tie the concepts that the encoder names to the decoder's words, where both have them.

        Args:
            tokens: gives the token of a word, None where the vocabulary lacks it.
        """
        if self.concepts is not None:
            found = [_first_known(tokens, (word.text, word.broader)) for word in concept_words()]
            self.concepts.name(torch.tensor(found))

    def _word_embeddings(self) -> Tensor | None:
        """E of the decoder, [vocabulary, embedding]; None where it reads no words."""
        embeddings = getattr(self.decoder, "E", None)
        return embeddings.weight if isinstance(embeddings, nn.Embedding) else None


def _first_known(tokens: Callable[[str], int | None], words: Iterable[str | None]) -> int:
    known = (tokens(word) for word in words if word is not None)
    return next((token for token in known if token is not None), -1)


def _share_embeddings(encoder: nn.Module, decoder: Decoder) -> None:
    reads, writes = getattr(encoder, "E", None), getattr(decoder, "E", None)
    if not isinstance(reads, nn.Embedding) or not isinstance(writes, nn.Embedding):
        raise ConfigError("shared_embeddings needs an encoder and a decoder that both read words")
    if reads.weight.shape != writes.weight.shape:
        raise ConfigError(
            f"embeddings of {tuple(reads.weight.shape)} and {tuple(writes.weight.shape)} cannot be shared",
            allowed="equal vocabularies and embedding sizes on both sides",
        )
    # the decoder's stays, because its output layer may share it too
    reads.weight = writes.weight
