"""Decoders: each family in one file, all under the promise of :mod:`regard.decoders.base`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from regard.decoders.attend import AttendDecoder, AttendSettings
from regard.decoders.base import Decoder, State, Step, Trace
from regard.decoders.luong import LuongDecoder, LuongSettings
from regard.decoders.rnnencdec import RnnEncDecDecoder, RnnEncDecSettings
from regard.decoders.rnnsearch import RnnSearchDecoder, RnnSearchSettings
from regard.decoders.single_vector import FeedbackDecoder, FeedbackSettings, RepeatDecoder, RepeatSettings
from regard.decoders.transformer import TransformerDecoder, TransformerDecoderSettings

DecoderSettings = Annotated[
    AttendSettings
    | RepeatSettings
    | FeedbackSettings
    | RnnSearchSettings
    | RnnEncDecSettings
    | LuongSettings
    | TransformerDecoderSettings,
    Field(discriminator="name"),
]


def build_decoder(settings: DecoderSettings, *, dim: int, vocabulary_size: int, backward_dim: int = 0) -> Decoder:
    """The decoder that ``settings`` describe, for annotations of ``dim`` numbers.

    Args:
        settings: of one decoder.
        dim: size of one annotation.
        vocabulary_size: number of tokens that it can write.
        backward_dim: the attribute of that name of a :class:`regard.encoders.text.TextEncoder`, for ``rnnsearch``.

    Raises:
        ConfigError: sizes that do not fit together.
    """
    match settings:
        case AttendSettings():
            return AttendDecoder(settings, dim=dim, vocabulary_size=vocabulary_size)
        case RepeatSettings():
            return RepeatDecoder(settings, dim=dim, vocabulary_size=vocabulary_size)
        case FeedbackSettings():
            return FeedbackDecoder(settings, dim=dim, vocabulary_size=vocabulary_size)
        case RnnSearchSettings():
            return RnnSearchDecoder(settings, dim=dim, vocabulary_size=vocabulary_size, backward_dim=backward_dim)
        case RnnEncDecSettings():
            return RnnEncDecDecoder(settings, dim=dim, vocabulary_size=vocabulary_size)
        case LuongSettings():
            return LuongDecoder(settings, dim=dim, vocabulary_size=vocabulary_size)
        case TransformerDecoderSettings():
            return TransformerDecoder(settings, dim=dim, vocabulary_size=vocabulary_size)


__all__ = ["Decoder", "DecoderSettings", "State", "Step", "Trace", "build_decoder"]
