"""A model described in words and by the size of its vectors, both derived from the model itself."""

from __future__ import annotations

from regard.decoders import DecoderSettings
from regard.decoders.attend import AttendSettings
from regard.decoders.luong import LuongSettings
from regard.decoders.rnnencdec import RnnEncDecSettings
from regard.decoders.rnnsearch import RnnSearchSettings
from regard.decoders.single_vector import FeedbackSettings, RepeatSettings
from regard.decoders.transformer import TransformerDecoderSettings
from regard.encoders.image import ImageEncoder
from regard.model import EncoderDecoder


def describe(model: EncoderDecoder) -> str:
    """What it is, such as ``soft attention (additive) over 7 × 7 cells``."""
    return _mechanism(model.settings.decoder, attends=model.decoder.attends).format(places=_places(model))


def vector_size(model: EncoderDecoder) -> int:
    """How many numbers the decoder gets of each place that it looks at, or of the whole input."""
    settings = model.settings
    bottleneck = getattr(settings.decoder, "image_vector", None)
    if bottleneck is not None:
        return int(bottleneck)
    return model.encoder.dim if settings.bridge is None else settings.bridge.dim


def counted(number: int, noun: str) -> str:
    """Such as ``1 epoch`` or ``2,000 epochs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _places(model: EncoderDecoder) -> str:
    encoder = model.encoder
    if not isinstance(encoder, ImageEncoder):
        return "the pieces of the sentence"
    rows, columns = encoder.grid_shape
    kind = "cells" if encoder.settings.form == "grid" else "tiles, each through the network by itself"
    return f"{rows} × {columns} {kind}"


def _mechanism(decoder: DecoderSettings, *, attends: bool) -> str:
    match decoder:
        case RepeatSettings():
            return "no attention, no feedback: the mean of {places} enters at every step"
        case FeedbackSettings():
            return "no attention: the mean of {places} enters once, then each word is the next input"
        case AttendSettings(kind="hard"):
            return f"hard attention ({decoder.score}): one is drawn of {{places}}"
        case AttendSettings():
            return f"soft attention ({decoder.score}) over {{places}}"
        case RnnSearchSettings():
            return f"gated unit with attention ({decoder.score}) over {{places}}"
        case RnnEncDecSettings():
            return "gated unit without attention: one summary of {places} at every step"
        case LuongSettings():
            return f"{decoder.kind} attention ({decoder.score}) after the recurrent step, over {{places}}"
        case TransformerDecoderSettings():
            return "Transformer, multi-head attention over {places}"
        case _:  # whatever this file does not know yet
            name = decoder.name.replace("_", " ")
            return f"{name}, attention over {{places}}" if attends else f"{name}, without attention, from {{places}}"
