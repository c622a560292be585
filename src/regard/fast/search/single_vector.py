"""``repeat`` and ``feedback`` step by step (see :mod:`regard.decoders.single_vector` for the formulas).

    shared  W_hh h_{t−1}, and of ``repeat`` W_ih x, which is taken once per input
    reads   of ``feedback`` W_ih E y, then the cell, and the output layer

The gates are those of :mod:`regard.fast.search.cells`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.single_vector import FeedbackDecoder, RepeatDecoder
from regard.fast.search.cells import ReadyCell, Vectors
from regard.fast.search.constant_memory import FixedMemory
from regard.fast.search.incremental import SharingStepper
from regard.fast.search.unique_parents import Looking
from regard.ops.linear import InferencePrecision, ready_product


class SingleVectorStepper(SharingStepper):
    """What both share.

    Args:
        decoder: in evaluation mode.
        precision: of the products.
    """

    def __init__(self, decoder: RepeatDecoder | FeedbackDecoder, *, precision: InferencePrecision) -> None:
        super().__init__(decoder.vocabulary_layer(), precision)
        self._decoder, self._cell = decoder, ReadyCell(decoder.cell)
        self._W_ih = self._cell.arranged(decoder.cell.weight_ih)
        self._of_state = ready_product(self._cell.of_state, None, precision=precision)

    def _first(self, annotations: Annotations) -> Vectors:
        rows = self._decoder.start(annotations).rows
        return {name: rows[name].squeeze(1) for name in self._decoder.hidden_names}

    def _see(self, memory: Memory, before: Vectors, looking: Looking) -> tuple[Tensor, Tensor]:
        assert isinstance(memory, FixedMemory), "a memory of this stepper's own start"
        seen, weights = memory.at(looking.looks)
        return self._of_state(before["h"].index_select(0, looking.rows)).add_(seen), weights


class RepeatStepper(SingleVectorStepper):
    """Sees x at every step and no word."""

    def _of_words(self, words: Tensor) -> Tensor:
        return self._cell.bias.expand(len(words), -1)

    def _remember(self, annotations: Annotations) -> FixedMemory:
        return FixedMemory.of(annotations, linear(self._decoder.vector(annotations).squeeze(1), self._W_ih))

    def _read(self, told: Tensor, before: Vectors, parents: Tensor) -> tuple[Vectors, Tensor]:
        after = self._cell.update(told, before, parents)
        return after, after["h"]


class FeedbackStepper(SingleVectorStepper):
    """Sees x once, then its own previous word."""

    def __init__(self, decoder: FeedbackDecoder, *, precision: InferencePrecision) -> None:
        super().__init__(decoder, precision=precision)
        self._E = decoder.E.weight.detach()
        self._L_h = ready_product(decoder.L_h.weight, decoder.L_h.bias, precision=precision)

    def _of_words(self, words: Tensor) -> Tensor:
        return linear(self._E[words], self._W_ih, self._cell.bias)

    def _remember(self, annotations: Annotations) -> FixedMemory:
        return FixedMemory.of(annotations, torch.zeros(len(annotations), 1, dtype=annotations.values.dtype))

    def _read(self, told: Tensor, before: Vectors, parents: Tensor) -> tuple[Vectors, Tensor]:
        after = self._cell.update(told, before, parents)
        return after, self._L_h(after["h"])
