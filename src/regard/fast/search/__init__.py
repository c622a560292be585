"""Decoders made ready for search: the same steps with fewer and faster products.

A stepper is made from a decoder once, and serves until the decoder's parameters change.
``REGARD_REFERENCE=1`` leaves every decoder to step by itself.
"""

from __future__ import annotations

from collections.abc import Callable

from regard.attention import Attention
from regard.decoders.attend import AttendDecoder
from regard.decoders.base import Decoder, Stepper
from regard.decoders.cells import Cell
from regard.decoders.luong import LuongDecoder
from regard.decoders.rnnencdec import RnnEncDecDecoder
from regard.decoders.rnnsearch import RnnSearchDecoder
from regard.decoders.single_vector import FeedbackDecoder, RepeatDecoder
from regard.errors import ConfigError
from regard.fast.search.attend import AttendStepper
from regard.fast.search.gated import RnnEncDecStepper, RnnSearchStepper
from regard.fast.search.luong import LuongStepper
from regard.fast.search.single_vector import FeedbackStepper, RepeatStepper
from regard.fast.training.scan_operands import is_known_attention, is_known_cell
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
    stepper = _STEPPERS.get(type(decoder))
    if on_processor and stepper is not None and _is_known(decoder) and not (use_reference() and precision == "float32"):
        return stepper(decoder, precision=precision)
    if precision != "float32":
        raise ConfigError(
            f"precision {precision!r} is not to be had for this decoder",
            allowed="float32, or on the processor a recurrent decoder that looks softly at everything or not at all, "
            "in one layer",
        )
    return decoder


_STEPPERS: dict[type[Decoder], Callable[..., Stepper]] = {
    AttendDecoder: AttendStepper,
    RnnSearchDecoder: RnnSearchStepper,
    RnnEncDecDecoder: RnnEncDecStepper,
    RepeatDecoder: RepeatStepper,
    FeedbackDecoder: FeedbackStepper,
    LuongDecoder: LuongStepper,
}


def _is_known(decoder: Decoder) -> bool:
    """Whether the steppers compute every part of a decoder: one layer, our cells, soft attention with our scores."""
    attentions = [part for part in decoder.modules() if isinstance(part, Attention)]
    cells = [part for part in decoder.modules() if isinstance(part, Cell)]
    return len(cells) <= 1 and all(map(is_known_attention, attentions)) and all(map(is_known_cell, cells))


__all__ = ["Stepper", "build_stepper"]
