"""Decoders: each family in one file, all with the interface of :mod:`regard.decoders.base`."""

from __future__ import annotations

from typing import Annotated

from regard.config import ByName, PartSettings
from regard.decoders.base import Decoder, State, Step, Trace
from regard.registry import Registry

DECODERS: Registry[type[Decoder]] = Registry(
    "decoder",
    {
        "attend": "regard.decoders.attend:AttendDecoder",
        "repeat": "regard.decoders.single_vector:RepeatDecoder",
        "feedback": "regard.decoders.single_vector:FeedbackDecoder",
        "rnnsearch": "regard.decoders.rnnsearch:RnnSearchDecoder",
        "rnnencdec": "regard.decoders.rnnencdec:RnnEncDecDecoder",
        "luong": "regard.decoders.luong:LuongDecoder",
        "transformer": "regard.decoders.transformer:TransformerDecoder",
    },
)
"""The class of every decoder by its name."""

DecoderSettings = Annotated[PartSettings, ByName(DECODERS)]
"""Settings of one of the decoders."""


def build_decoder(settings: PartSettings, *, dim: int, vocabulary_size: int, backward_dim: int = 0) -> Decoder:
    """The decoder that ``settings`` describe, for annotations of ``dim`` numbers.

    Args:
        settings: of one decoder.
        dim: size of one annotation.
        vocabulary_size: number of tokens.
        backward_dim: the attribute of that name of a :class:`regard.encoders.text.TextEncoder`, for ``rnnsearch``.

    Raises:
        ConfigError: sizes that do not fit together.
    """
    kind = DECODERS[settings.name]
    return kind.build(settings, dim=dim, vocabulary_size=vocabulary_size, backward_dim=backward_dim)


__all__ = ["DECODERS", "Decoder", "DecoderSettings", "State", "Step", "Trace", "build_decoder"]
