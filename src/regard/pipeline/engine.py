"""A model made ready for use: what of it can be made faster is made so once, when it is loaded.

Nothing here changes what a model says beyond rounding, unless a lower precision is asked for. ``REGARD_REFERENCE=1``
leaves everything to the model itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from regard.annotations import Annotations, Concepts
from regard.encoders.image import ImageEncoder
from regard.fast.encoders.text import ReadyGru
from regard.fast.search import Stepper, build_stepper
from regard.fast.search.lexical_shortlist import SharedWords
from regard.model import EncoderDecoder
from regard.ops import use_reference
from regard.ops.linear import InferencePrecision
from regard.saved.bundle import Bundle
from regard.text import TextCodec

PASS = 4
"""Pictures that go through the network together: enough to use its numbers well, few enough to stay in the cache."""


class Engine:
    """Reads inputs and steps a decoder.

    Args:
        bundle: a model, which goes to ``device`` and is not to change any more.
        device: where it computes.
        precision: in which numbers the decoder's products are taken. In all but ``float32`` all stages of an
            EfficientNet-Lite but the first, and the products of a GRU of one layer, calculate in bfloat16; other
            encoders stay as they are.
        shortlists: whether to make the words ready that all shortlists of the model's lexicon share.

    Attributes:
        device: where it computes.
        codec: of what the model writes.
        stepper: of the model's decoder.
        shared: the same with the words that all shortlists share; None where it was not asked for shortlists.

    Raises:
        ConfigError: a precision that the model cannot be had in.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "cpu",
        precision: InferencePrecision = "float32",
        shortlists: bool = False,
    ) -> None:
        self.device = torch.device(device)
        self.codec: TextCodec = bundle.codec
        self._model = bundle.model.to(self.device).eval()
        self.stepper: Stepper = build_stepper(self._model.decoder, precision=precision)
        self.shared: SharedWords | None = None
        if shortlists:
            assert bundle.lexicon is not None, "shortlists come from a lexicon"
            self.shared = SharedWords(self.stepper, bundle.lexicon.shared.tolist(), device=self.device)
        self._pictures, self._sentences = None, None
        if not use_reference() or precision != "float32":
            self._pictures = _ready_pictures(self._model, rounded=precision != "float32")
            self._sentences = _ready_sentences(self._model, rounded=precision != "float32")

    def annotate(self, *inputs: Tensor) -> Annotations:
        """What the decoder looks at, from what the encoder reads (pixels, or tokens and their mask)."""
        with torch.inference_mode():
            if self._pictures is not None:
                (pixels,) = inputs
                return self._model.bridged(_joined([self._pictures(part) for part in torch.split(pixels, PASS)]))
            if self._sentences is not None:
                return self._model.bridged(self._sentences(*inputs))
            return self._model.annotate(*(each.to(self.device) for each in inputs))


def _joined(parts: Sequence[Annotations]) -> Annotations:
    """The annotations of pictures that went through the network in several passes."""
    concepts = [part.concepts for part in parts if part.concepts is not None]
    return Annotations(
        torch.cat([part.values for part in parts]), concepts=Concepts.joined(concepts) if concepts else None
    )


def _ready_pictures(model: EncoderDecoder, *, rounded: bool) -> ImageEncoder | None:
    """The encoder of pictures for the processor; None where the model reads inputs itself."""
    encoder = model.encoder
    # an encoder of another kind, such as one that runs a graph, is left as it is
    if type(encoder) is not ImageEncoder or next(encoder.parameters()).device.type != "cpu":
        return None
    return encoder.ready(rounded=rounded)


def _ready_sentences(model: EncoderDecoder, *, rounded: bool) -> ReadyGru | None:
    """The encoder of sentences likewise."""
    encoder = model.encoder
    return ReadyGru(encoder, rounded=rounded) if ReadyGru.takes(encoder) else None
