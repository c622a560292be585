"""Fast paths: twins of decoders and encoders that compute the same numbers with fewer and faster operations.

The plain modules in :mod:`regard.decoders` and :mod:`regard.encoders` are the definition. The functions here choose:
:func:`for_training` and :func:`for_search` give the twin of a decoder, :func:`encoder_for_training` and
:func:`encoder_for_search` that of an encoder, or the plain part itself where no twin knows it. A twin is looked up by
the exact class and inspects its parts, so a subclass, a new score or a new cell takes the plain path.

``REGARD_REFERENCE=1`` in the environment is read here and nowhere else: every function gives the plain part.
``README.md`` beside this file lists all paths.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from regard.errors import ConfigError
from regard.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

    from regard.annotations import Annotations
    from regard.decoders.base import Decoder, Stepper, TeacherForcing
    from regard.encoders.image import ImageEncoder
    from regard.ops.linear import InferencePrecision

    TextReader = Callable[[Tensor, Tensor | None], Annotations]

# Each entry is a function of a part (and a precision) that gives its twin, or None for what it does not know.
TRAINING: Registry[Callable[[Any], Any]] = Registry(
    "training twin",
    {
        "regard.decoders.attend:AttendDecoder": "regard.fast.training.attend:twin",
        "regard.decoders.rnnsearch:RnnSearchDecoder": "regard.fast.training.rnnsearch:twin",
        "regard.decoders.rnnencdec:RnnEncDecDecoder": "regard.fast.training.rnnencdec:twin",
        "regard.decoders.luong:LuongDecoder": "regard.fast.training.luong:twin",
        "regard.decoders.single_vector:RepeatDecoder": "regard.fast.training.single_vector:repeat_twin",
        "regard.decoders.single_vector:FeedbackDecoder": "regard.fast.training.single_vector:feedback_twin",
        "regard.decoders.transformer:TransformerDecoder": "regard.fast.training.transformer:twin",
        "regard.encoders.recurrent:RecurrentEncoder": "regard.fast.training.recurrent_encoder:twin",
    },
)
SEARCH: Registry[Callable[[Any, InferencePrecision], Any]] = Registry(
    "search twin",
    {
        "regard.decoders.attend:AttendDecoder": "regard.fast.search.attend:twin",
        "regard.decoders.rnnsearch:RnnSearchDecoder": "regard.fast.search.gated:rnnsearch_twin",
        "regard.decoders.rnnencdec:RnnEncDecDecoder": "regard.fast.search.gated:rnnencdec_twin",
        "regard.decoders.luong:LuongDecoder": "regard.fast.search.luong:twin",
        "regard.decoders.single_vector:RepeatDecoder": "regard.fast.search.single_vector:repeat_twin",
        "regard.decoders.single_vector:FeedbackDecoder": "regard.fast.search.single_vector:feedback_twin",
        "regard.decoders.transformer:TransformerDecoder": "regard.fast.search.transformer:twin",
        "regard.encoders.image:ImageEncoder": "regard.fast.encoders.image:twin",
    },
)


def use_reference() -> bool:
    """Whether ``REGARD_REFERENCE=1`` asks for the plain path; read at every call, so a test can switch it."""
    return os.environ.get("REGARD_REFERENCE", "") not in ("", "0")


def for_training(decoder: Decoder) -> TeacherForcing:
    """The fast teacher-forced pass of a decoder, or the decoder itself, whose pass is the loop over its steps."""
    twin: TeacherForcing | None = None if use_reference() else _twin(TRAINING, decoder)
    return decoder if twin is None else twin


def for_search(decoder: Decoder, precision: InferencePrecision = "float32") -> Stepper:
    """The incremental decoder for a search, or the decoder itself.

    Args:
        decoder: in evaluation mode; later changes to its parameters are not seen.
        precision: numeric precision of its matrix products.

    Raises:
        ConfigError: a lower precision for a decoder that has none.
    """
    twin: Stepper | None = None
    if not use_reference() or precision != "float32":
        twin = _twin(SEARCH, decoder, precision)
    if twin is None and precision != "float32":
        raise ConfigError(
            f"precision {precision!r} is not available for this decoder",
            allowed="float32; on the CPU any for transformer and for recurrent decoders of one layer with soft global "
            "attention or with none",
        )
    return decoder if twin is None else twin


def for_sampling(decoder: Decoder) -> Stepper:
    """The decoder for random samples while it is trained: its attention is fused, and it sees every new parameter."""
    if use_reference() or _home(decoder) not in SEARCH:
        return decoder
    from regard.fast.attention import with_fused_attention

    twin: Stepper = with_fused_attention(decoder)
    return twin


def encoder_for_training(encoder: nn.Module) -> TextReader:
    """The fast pass of a text encoder with gradients, or the encoder itself."""
    twin: TextReader | None = None if use_reference() else _twin(TRAINING, encoder)
    return encoder if twin is None else twin


def learning_layers_for_training(encoder: ImageEncoder) -> Callable[[Tensor], Tensor] | None:
    """The layers of an image encoder that learn, as CUDA graphs; None where they run plainly."""
    if use_reference() or encoder.device.type != "cuda" or encoder.frozen:
        return None
    from regard.fast.training.cuda_graphs import LearningLayers, Replayed

    return Replayed(lambda: LearningLayers(encoder))


def encoder_for_search(encoder: nn.Module, precision: InferencePrecision = "float32") -> Callable[..., Annotations]:
    """The encoder prepared for inference, or the encoder itself; later changes to its parameters are not seen."""
    twin: Callable[..., Annotations] | None = None
    if not use_reference() or precision != "float32":
        twin = _twin(SEARCH, encoder, precision)
    return encoder if twin is None else twin


def vocabulary_layer(decoder: Decoder) -> tuple[Tensor, Tensor | None] | None:
    """The output layer for :func:`regard.ops.cross_entropy.linear_cross_entropy`; None where logits are computed."""
    from regard.fast.support import on_cpu

    return None if use_reference() or not on_cpu(decoder) else decoder.vocabulary_layer()


def _twin(registry: Registry[Callable[..., Any]], part: nn.Module, *options: Any) -> Any:
    """The twin of a part of exactly this class, or None."""
    home = _home(part)
    return registry[home](part, *options) if home in registry else None


def _home(part: nn.Module) -> str:
    return f"{type(part).__module__}:{type(part).__qualname__}"
