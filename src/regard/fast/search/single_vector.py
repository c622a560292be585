"""``repeat`` and ``feedback`` in search (see :mod:`regard.decoders.single_vector` for the formulas).

    once a parent      W_hh h_{t−1}, and of ``repeat`` W_ih x, which is computed once per input
    each hypothesis    of ``feedback`` + W_ih E y, then the cell, and the output layer

The gates are those of :mod:`regard.fast.search.prepared_cell`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.base import Stepper
from regard.decoders.cells import Hidden
from regard.decoders.single_vector import FeedbackDecoder, RepeatDecoder
from regard.fast.search.beam_state import ParentIndex
from regard.fast.search.constant_memory import ConstantMemory
from regard.fast.search.incremental import UniqueParentDecoder
from regard.fast.search.prepared_cell import PreparedCell
from regard.fast.support import knows_cell, on_cpu
from regard.ops.linear import InferencePrecision, inference_linear


def repeat_twin(decoder: RepeatDecoder, precision: InferencePrecision) -> Stepper | None:
    """The incremental decoder on a CPU, or None for a cell that it does not know."""
    known = knows_cell(decoder.cell) and on_cpu(decoder)
    return IncrementalRepeat(decoder, precision=precision) if known else None


def feedback_twin(decoder: FeedbackDecoder, precision: InferencePrecision) -> Stepper | None:
    """The incremental decoder on a CPU, or None for a cell that it does not know."""
    known = knows_cell(decoder.cell) and on_cpu(decoder)
    return IncrementalFeedback(decoder, precision=precision) if known else None


class IncrementalSingleVector(UniqueParentDecoder):
    """What both share.

    Args:
        decoder: in evaluation mode.
        precision: of the products.
    """

    def __init__(self, decoder: RepeatDecoder | FeedbackDecoder, *, precision: InferencePrecision) -> None:
        super().__init__(decoder.vocabulary_layer(), precision)
        self._decoder, self._cell = decoder, PreparedCell.of(decoder.cell)
        self._W_ih = self._cell.reorder(decoder.cell.weight_ih)
        self._from_state = inference_linear(self._cell.W_hh, None, precision=precision)

    def _first_state(self, annotations: Annotations) -> Hidden:
        rows = self._decoder.start(annotations).rows
        return {name: rows[name].squeeze(1) for name in self._decoder.hidden_names}

    def _attend(self, memory: Memory, before: Hidden, index: ParentIndex) -> tuple[Tensor, Tensor]:
        assert isinstance(memory, ConstantMemory), "a memory of this decoder's own start"
        constant, weights = memory.at(index.rows)
        return self._from_state(before["h"].index_select(0, index.unique)).add_(constant), weights


class IncrementalRepeat(IncrementalSingleVector):
    """x at every step and no token."""

    def _project_tokens(self, tokens: Tensor) -> Tensor:
        return self._cell.bias.expand(len(tokens), -1)

    def _remember(self, annotations: Annotations) -> ConstantMemory:
        return ConstantMemory.of(annotations, linear(self._decoder.vector(annotations).squeeze(1), self._W_ih))

    def _update(self, inputs: Tensor, before: Hidden, parents: Tensor) -> tuple[Hidden, Tensor]:
        hidden = self._cell.update(inputs, before, parents)
        return hidden, hidden["h"]


class IncrementalFeedback(IncrementalSingleVector):
    """x once, then the previous token."""

    def __init__(self, decoder: FeedbackDecoder, *, precision: InferencePrecision) -> None:
        super().__init__(decoder, precision=precision)
        self._E = decoder.E.weight.detach()
        self._L_h = inference_linear(decoder.L_h.weight, decoder.L_h.bias, precision=precision)

    def _project_tokens(self, tokens: Tensor) -> Tensor:
        return linear(self._E[tokens], self._W_ih, self._cell.bias)

    def _remember(self, annotations: Annotations) -> ConstantMemory:
        return ConstantMemory.of(annotations, torch.zeros(len(annotations), 1, dtype=annotations.values.dtype))

    def _update(self, inputs: Tensor, before: Hidden, parents: Tensor) -> tuple[Hidden, Tensor]:
        hidden = self._cell.update(inputs, before, parents)
        return hidden, self._L_h(hidden["h"])
