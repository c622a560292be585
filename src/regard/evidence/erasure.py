"""Force-decoding of given words from partly erased annotations, the operation behind every faithfulness test.

    a'_i = s_i a_i + (1 − s_i) ā,    ā the mean of the real annotations,  0 ≤ s_i ≤ 1
    log p(y_t | y_<t, a')            for given words y, force-decoded by the search's own stepper

Erased positions hold the mean instead of zeros, because a decoder has never seen zeros (Petsiuk et al. 2018, §4.2, on
what to put in place of a pixel). The first state is made from a' too: what is erased is gone for the whole sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.decoders.base import Stepper
from regard.faithfulness import Floats
from regard.text.vocabulary import BOS

BATCH = 256
"""Inputs that are force-decoded together."""


@dataclass(frozen=True)
class Written:
    """A text that a model wrote for one input, in ids.

    Attributes:
        ids: its pieces.
        words: of each word the places of its pieces in ``ids``.
        weights: [piece, position], the attention weights before each piece.
    """

    ids: tuple[int, ...]
    words: tuple[tuple[int, ...], ...]
    weights: Floats

    def word_weights(self) -> Floats:
        """Weights of each word, the mean over its pieces, [word, position]."""
        return np.stack([self.weights[list(pieces)].mean(axis=0) for pieces in self.words])

    def range_of(self, word: int) -> range:
        """The places from a word's first piece to its last."""
        return range(min(self.words[word]), max(self.words[word]) + 1)

    def of_words(self, log_probabilities: Floats) -> Floats:
        """Log-probabilities of words [..., word], from those of pieces [..., piece]."""
        return np.stack([log_probabilities[..., list(pieces)].sum(axis=-1) for pieces in self.words], axis=-1)


def real_positions(annotations: Annotations) -> int:
    """How many positions of one input are real."""
    assert len(annotations) == 1, "one input"
    return annotations.values.shape[1] if annotations.mask is None else int(annotations.mask.sum())


def erase(annotations: Annotations, strengths: Tensor) -> Annotations:
    """Copies of one input with a part of each annotation erased.

    Args:
        annotations: of one input.
        strengths: s, float [copy, position]: how much of each annotation is left, 0…1.
    """
    mean = annotations.mean().unsqueeze(1)
    kept = strengths.to(annotations.values).unsqueeze(-1)
    mask = annotations.mask
    return Annotations(
        values=mean + kept * (annotations.values - mean),
        mask=None if mask is None else mask.expand(len(strengths), -1),
        summary=None if annotations.summary is None else _erased_summary(annotations, strengths),
    )


def _erased_summary(annotations: Annotations, strengths: Tensor) -> Tensor:
    """The summary in the same share as the annotations: it is a vector of all of them."""
    assert annotations.summary is not None, "asked for where there is one"
    real = torch.ones_like(strengths) if annotations.mask is None else annotations.mask.to(strengths)
    share = ((strengths * real).sum(dim=1) / real.sum(dim=1)).to(annotations.summary).unsqueeze(1)
    return share * annotations.summary


def erased_log_probabilities(
    stepper: Stepper, annotations: Annotations, strengths: Floats, ids: Sequence[int], asked: Sequence[range]
) -> Floats:
    """log p of pieces of a text, from copies of its input with a part erased.

    Args:
        stepper: of the model's decoder.
        annotations: of one input.
        strengths: s, [copy, position].
        ids: the text.
        asked: which pieces of the text are asked for, of each copy.

    Returns:
        [copy, piece]; 0 where it was not asked for.
    """
    found = np.zeros((len(strengths), len(ids)))
    order = sorted(range(len(strengths)), key=lambda copy: -asked[copy].stop)
    for first in range(0, len(order), BATCH):
        part = order[first : first + BATCH]
        erased = erase(annotations, torch.from_numpy(strengths[part]))
        found[part] = force_decode(stepper, erased, ids, [asked[copy] for copy in part])
    return found


def force_decode(stepper: Stepper, annotations: Annotations, ids: Sequence[int], asked: Sequence[range]) -> Floats:
    """log p of pieces of one text from each of several inputs; the vocabulary product is taken for these alone.

    Args:
        stepper: of the model's decoder.
        annotations: of the inputs.
        ids: the text.
        asked: which of its pieces each input is asked for; those that end last come first.

    Returns:
        [input, piece]; 0 where it was not asked for.
    """
    device, found = annotations.values.device, np.zeros((len(annotations), len(ids)))
    previous, rows = BOS, len(annotations)
    with torch.inference_mode():
        state = stepper.start(annotations)
        for place, token in enumerate(ids[: max((each.stop for each in asked), default=0)]):
            left = sum(each.stop > place for each in asked)
            if left < rows:
                state, rows = state.select(torch.arange(left, device=device)), left
            step = stepper.step(state, torch.full((rows, 1), previous, device=device))
            state, previous = step.state, token
            asking = [row for row in range(rows) if place in asked[row]]
            if asking:
                logits = step.output(step.readout[torch.tensor(asking, device=device)])[:, 0]
                found[asking, place] = logits.float().log_softmax(dim=-1)[:, token].cpu().numpy()
    return found
