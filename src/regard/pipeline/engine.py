"""A model prepared for inference once, when it is loaded: packed matrices, fused layers, an incremental decoder.

Results change by rounding only, unless a lower precision is asked for. ``REGARD_REFERENCE=1`` takes the plain model.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regard.annotations import Annotations, Concepts
from regard.decoders.base import Stepper
from regard.encoders.image import ImageEncoder
from regard.errors import WorkerError
from regard.fast import encoder_for_search, for_search
from regard.ops.linear import InferencePrecision
from regard.saved.bundle import Bundle
from regard.text import Tokenizer

if TYPE_CHECKING:
    from regard.fast.search.lexical_shortlist import SharedTokens

PASS = 4
"""Images in one pass through the network: enough to reuse its weights, few enough to stay in the CPU cache."""


class Engine:
    """Reads inputs and steps a decoder.

    Args:
        bundle: a model, which goes to ``device`` and is not to change any more.
        device: where it computes.
        precision: numeric precision of the decoder's matrix products. In all but ``float32`` all stages of an
            EfficientNet-Lite but the first compute in bfloat16; other encoders stay as they are.
        shortlists: whether to prepare the tokens that all shortlists of the model's lexicon share.

    Attributes:
        device: where it computes.
        tokenizer: of what the model writes.
        stepper: of the model's decoder.
        shared: the same with the words that all shortlists share; None where it was not asked for shortlists.

    Raises:
        ConfigError: the model has no such precision.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "cpu",
        precision: InferencePrecision = "float32",
        shortlists: bool = False,
    ) -> None:
        self._process = os.getpid()
        self.device = torch.device(device)
        self.tokenizer: Tokenizer = bundle.tokenizer
        self._model = bundle.model.to(self.device).eval()
        self.stepper: Stepper = for_search(self._model.decoder, precision)
        self.shared: SharedTokens | None = None
        if shortlists:
            from regard.fast.search.lexical_shortlist import SharedTokens

            assert bundle.lexicon is not None, "shortlists come from a lexicon"
            self.shared = SharedTokens(self.stepper, bundle.lexicon.shared.tolist(), device=self.device)
        self._encoder = encoder_for_search(self._model.encoder, precision)

    def annotate(self, *inputs: Tensor) -> Annotations:
        """What the decoder looks at, from what the encoder reads (pixels, or tokens and their mask).

        Raises:
            WorkerError: the model was loaded by the process that this one was forked from.
        """
        self._require_own_process()
        with torch.inference_mode():
            moved = [each.to(self.device) for each in inputs]
            if isinstance(self._encoder, ImageEncoder) and self._encoder is not self._model.encoder:
                return self._model.bridged(_joined([self._encoder(part) for part in torch.split(moved[0], PASS)]))
            return self._model.bridged(self._encoder(*moved))

    def _require_own_process(self) -> None:
        """Refuse to compute in a fork, where threads of the parent's are waited for that do not exist."""
        if os.getpid() != self._process:
            raise WorkerError(
                "the model was loaded before this process was forked, and cannot compute here",
                remedy="load it in each process (such as in the initializer of a Pool), or share the work with "
                "regard.load(..., workers=2) instead of a Pool",
            )


def _joined(parts: Sequence[Annotations]) -> Annotations:
    """The annotations of pictures that went through the network in several passes."""
    concepts = [part.concepts for part in parts if part.concepts is not None]
    return Annotations(
        torch.cat([part.values for part in parts]), concepts=Concepts.joined(concepts) if concepts else None
    )
