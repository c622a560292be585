"""``attend`` with soft attention, step by step (see :mod:`regard.decoders.attend` for the formulas).

    sees    W_hh h + W_c β Σ_i α_i a_i and L_z β Σ_i α_i a_i, from h_{t−1} alone
    reads   W_e E y and E y, then the gates, the cell, L_h h_t and the vocabulary product

The gates are those of :mod:`regard.fast.search.cells`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.attend import AttendDecoder
from regard.fast.search.attention_memory import Looks, StepMemory
from regard.fast.search.cells import ReadyCell, Vectors
from regard.fast.search.incremental import SharingStepper
from regard.fast.search.unique_parents import Looking
from regard.ops.linear import InferencePrecision, ready_product


class AttendStepper(SharingStepper):
    """Args:
    decoder: with soft attention, in evaluation mode.
    precision: of the products.
    """

    def __init__(self, decoder: AttendDecoder, *, precision: InferencePrecision) -> None:
        looks = Looks(decoder.attention)
        super().__init__((decoder.L_o.weight, decoder.L_o.bias), precision)
        self._decoder, self._looks = decoder, looks
        self._keys = None if looks.W_k is None else ready_product(looks.W_k, None, precision=precision)
        self._cell = cell = ReadyCell(decoder.cell)
        self._gates = cell.gates
        of_words, of_context = decoder.cell.matrices()
        self._E, self._deep = decoder.E.weight.detach(), decoder.L_z is not None
        self._W_e = cell.arranged(of_words)
        state_parts = [cell.of_state]
        if looks.W_q is not None:
            state_parts.append(looks.W_q)
        bias = None
        self._gated = decoder.w_beta is not None
        if decoder.w_beta is not None:
            state_parts.append(decoder.w_beta.weight)
            bias = torch.cat([cell.bias.new_zeros(sum(map(len, state_parts[:-1]))), decoder.w_beta.bias])
        self._of_state = ready_product(torch.cat(state_parts), bias, precision=precision)
        context_parts = [cell.arranged(of_context)]
        if decoder.L_z is not None:
            context_parts.append(decoder.L_z.weight)
        self._of_context = ready_product(torch.cat(context_parts), None, precision=precision)
        self._L_h = ready_product(decoder.L_h.weight, decoder.L_h.bias, precision=precision)

    def _of_words(self, words: Tensor) -> Tensor:
        embedded = self._E[words]
        gates = linear(embedded, self._W_e, self._cell.bias)
        return torch.cat([gates, embedded], dim=1) if self._deep else gates

    def _remember(self, annotations: Annotations) -> StepMemory:
        values = annotations.values
        keys = values if self._keys is None else self._keys(values.flatten(0, 1)).view(*values.shape[:2], -1)
        return self._looks.remember(keys, values, annotations.mask)

    def _first(self, annotations: Annotations) -> Vectors:
        return self._decoder.first_states(annotations)

    def _see(self, memory: Memory, before: Vectors, looking: Looking) -> tuple[Tensor, Tensor]:
        h = before["h"].index_select(0, looking.rows)
        product = self._of_state(h)
        query = h if self._looks.W_q is None else product[:, self._gates : self._gates + len(self._looks.W_q)]
        context, weights = self._looks(query.contiguous(), memory, looking.looks)
        if self._gated:
            context = context.mul_(product[:, -1:].sigmoid())
        seen = self._of_context(context)
        seen[:, : self._gates].add_(product[:, : self._gates])
        return seen, weights

    def _read(self, told: Tensor, before: Vectors, parents: Tensor) -> tuple[Vectors, Tensor]:
        after = self._cell.update(told[:, : self._gates], before, parents)
        readout = self._L_h(after["h"])
        return after, readout.add_(told[:, self._gates :]) if self._deep else readout
