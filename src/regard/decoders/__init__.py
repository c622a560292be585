"""Decoders: each family in one file, all under the promise of :mod:`regard.decoders.base`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from regard.decoders.attend import AttendDecoder, AttendSettings
from regard.decoders.base import Decoder, State, Step, Trace
from regard.decoders.single_vector import FeedbackDecoder, FeedbackSettings, RepeatDecoder, RepeatSettings

DecoderSettings = Annotated[AttendSettings | RepeatSettings | FeedbackSettings, Field(discriminator="name")]


def build_decoder(settings: DecoderSettings, *, dim: int, vocabulary_size: int) -> Decoder:
    """The decoder that ``settings`` describe, for annotations of ``dim`` numbers.

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


__all__ = ["Decoder", "DecoderSettings", "State", "Step", "Trace", "build_decoder"]
