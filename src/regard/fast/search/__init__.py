"""Decoders made ready for search: the same steps with fewer and faster products.

A stepper is made from a decoder once, and serves until the decoder's parameters change.
``REGARD_REFERENCE=1`` leaves every decoder to step by itself.
"""

from __future__ import annotations

from regard.attention import Attention
from regard.decoders.attend import AttendDecoder
from regard.decoders.base import Decoder, Stepper
from regard.decoders.luong import LuongDecoder
from regard.decoders.rnnencdec import RnnEncDecDecoder
from regard.decoders.rnnsearch import RnnSearchDecoder
from regard.decoders.single_vector import FeedbackDecoder, RepeatDecoder
from regard.errors import ConfigError
from regard.fast.search.attend import AttendStepper
from regard.fast.search.gated import RnnEncDecStepper, RnnSearchStepper
from regard.fast.search.luong import LuongStepper
from regard.fast.search.single_vector import FeedbackStepper, RepeatStepper
from regard.ops import use_reference
from regard.ops.linear import InferencePrecision


def build_stepper(decoder: Decoder, *, precision: InferencePrecision = "float32") -> Stepper:
    """What steps for a decoder in a search.

    Args:
        decoder: in evaluation mode.
        precision: in which numbers products are taken. ``float32`` is that of the decoder itself.

    Returns:
        The decoder itself where there is nothing faster for it, or where it does not compute on the processor.

    Raises:
        ConfigError: a precision that this decoder cannot be had in.
    """
    on_processor = next(decoder.parameters()).device.type == "cpu" if any(True for _ in decoder.parameters()) else False
    if on_processor and not (use_reference() and precision == "float32"):
        match decoder:
            case AttendDecoder() if type(decoder.attention) is Attention:
                return AttendStepper(decoder, precision=precision)
            case RnnSearchDecoder():
                return RnnSearchStepper(decoder, precision=precision)
            case RnnEncDecDecoder():
                return RnnEncDecStepper(decoder, precision=precision)
            case RepeatDecoder():
                return RepeatStepper(decoder, precision=precision)
            case FeedbackDecoder():
                return FeedbackStepper(decoder, precision=precision)
            case LuongDecoder() if LuongStepper.takes(decoder):
                return LuongStepper(decoder, precision=precision)
    if precision != "float32":
        raise ConfigError(
            f"precision {precision!r} is not to be had for this decoder",
            allowed="float32, or on the processor a recurrent decoder that looks softly at everything or not at all, "
            "in one layer",
        )
    return decoder


__all__ = ["Stepper", "build_stepper"]
