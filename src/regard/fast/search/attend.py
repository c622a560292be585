"""``attend`` with soft attention in search (see :mod:`regard.decoders.attend` for the formulas).

    once a parent      W_hh h + W_c β Σ_i α_i a_i and L_z β Σ_i α_i a_i, from h_{t−1} alone
    each hypothesis    + W_e E y and E y, then the gates, the cell, L_h h_t and the vocabulary product

The gates are those of :mod:`regard.fast.search.prepared_cell`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.attend import AttendDecoder
from regard.decoders.base import Stepper
from regard.decoders.cells import Hidden
from regard.fast.attention import with_fused_attention
from regard.fast.search.beam_state import ParentIndex
from regard.fast.search.incremental import UniqueParentDecoder
from regard.fast.search.prepared_attention import PreparedAttention, PreparedMemory
from regard.fast.search.prepared_cell import PreparedCell
from regard.fast.support import knows_attention, knows_cell, on_cpu
from regard.ops.linear import InferencePrecision, inference_linear


def twin(decoder: AttendDecoder, precision: InferencePrecision) -> Stepper | None:
    """The incremental decoder on a CPU; on a GPU the decoder with fused attention; None for unknown parts."""
    if not (knows_attention(decoder.attention) and knows_cell(decoder.cell)):
        return None
    if on_cpu(decoder):
        return IncrementalAttend(decoder, precision=precision)
    gpu: Stepper = with_fused_attention(decoder)
    return gpu if precision == "float32" else None


class IncrementalAttend(UniqueParentDecoder):
    """Args:
    decoder: with soft attention, in evaluation mode.
    precision: of the products.
    """

    def __init__(self, decoder: AttendDecoder, *, precision: InferencePrecision) -> None:
        super().__init__((decoder.L_o.weight, decoder.L_o.bias), precision)
        self._decoder, self._attention = decoder, PreparedAttention(decoder.attention)
        W_q, W_k = self._attention.W_q, self._attention.W_k  # noqa: N806 (the paper's names)
        self._keys = None if W_k is None else inference_linear(W_k, None, precision=precision)
        self._cell = cell = PreparedCell.of(decoder.cell)
        W_words, W_context = decoder.cell.matrices()  # noqa: N806 (the paper's names)
        self._E, self._deep = decoder.E.weight.detach(), decoder.L_z is not None
        self._W_words = cell.reorder(W_words)
        # 1. one product with the state: the gates, the query and the gate β
        state_rows = [cell.W_hh] if W_q is None else [cell.W_hh, W_q]
        bias, self._gated = None, decoder.w_beta is not None
        if decoder.w_beta is not None:
            bias = torch.cat([cell.bias.new_zeros(sum(map(len, state_rows))), decoder.w_beta.bias])
            state_rows.append(decoder.w_beta.weight)
        self._from_state = inference_linear(torch.cat(state_rows), bias, precision=precision)
        # 2. one product with the context: the gates and the deep output
        context_rows = [cell.reorder(W_context)]
        if decoder.L_z is not None:
            context_rows.append(decoder.L_z.weight)
        self._from_context = inference_linear(torch.cat(context_rows), None, precision=precision)
        self._L_h = inference_linear(decoder.L_h.weight, decoder.L_h.bias, precision=precision)

    def _project_tokens(self, tokens: Tensor) -> Tensor:
        embedded = self._E[tokens]
        gates = linear(embedded, self._W_words, self._cell.bias)
        return torch.cat([gates, embedded], dim=1) if self._deep else gates

    def _remember(self, annotations: Annotations) -> PreparedMemory:
        values = annotations.values
        keys = values if self._keys is None else self._keys(values.flatten(0, 1)).view(*values.shape[:2], -1)
        return self._attention.remember(keys, values, annotations.mask)

    def _first_state(self, annotations: Annotations) -> Hidden:
        return self._decoder.first_states(annotations)

    def _attend(self, memory: Memory, before: Hidden, index: ParentIndex) -> tuple[Tensor, Tensor]:
        h, gates, W_q = before["h"].index_select(0, index.unique), self._cell.num_gates, self._attention.W_q  # noqa: N806
        product = self._from_state(h)
        query = h if W_q is None else product[:, gates : gates + len(W_q)]
        context, weights = self._attention(query.contiguous(), memory, index.rows)
        if self._gated:
            context = context.mul_(product[:, -1:].sigmoid())
        from_parents = self._from_context(context)
        from_parents[:, :gates].add_(product[:, :gates])
        return from_parents, weights

    def _update(self, inputs: Tensor, before: Hidden, parents: Tensor) -> tuple[Hidden, Tensor]:
        hidden = self._cell.update(inputs[:, : self._cell.num_gates], before, parents)
        readout = self._L_h(hidden["h"])
        return hidden, readout.add_(inputs[:, self._cell.num_gates :]) if self._deep else readout
