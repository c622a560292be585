"""``luong`` with global attention and one layer in search (see :mod:`regard.decoders.luong` for the formulas).

    once a parent      [W_hh; W_f] of h_{t−1} and h̃_{t−1}
    each hypothesis    + W_e E y, then the cell; attention from h_t; h̃_t = tanh(W_c [c_t; h_t]) and the output layer

The products of W_c with the annotations are computed once per input; their weighted sums are the products with c_t.
The gates are those of :mod:`regard.fast.search.prepared_cell`; what stands under tanh comes doubled here, too.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.base import Stepper
from regard.decoders.cells import Hidden
from regard.decoders.luong import LuongDecoder
from regard.fast.attention import with_fused_attention
from regard.fast.search.beam_state import ParentIndex
from regard.fast.search.incremental import IncrementalDecoder
from regard.fast.search.prepared_attention import PreparedAttention, PreparedMemory
from regard.fast.search.prepared_cell import PreparedCell
from regard.fast.support import knows_attention, knows_cell, on_cpu
from regard.ops.linear import InferencePrecision, Product, inference_linear
from regard.ops.packing import GroupedRows


def twin(decoder: LuongDecoder, precision: InferencePrecision) -> Stepper | None:
    """The incremental decoder on a CPU; on a GPU the decoder with fused attention; None for unknown parts."""
    if not (knows_attention(decoder.attention) and all(map(knows_cell, decoder.cells))):
        return None
    if on_cpu(decoder):
        return IncrementalLuong(decoder, precision=precision) if decoder.settings.layers == 1 else None
    gpu: Stepper = with_fused_attention(decoder)
    return gpu if precision == "float32" else None


class IncrementalLuong(IncrementalDecoder):
    """Args:
    decoder: of one layer with global attention, in evaluation mode.
    precision: of the products.
    """

    def __init__(self, decoder: LuongDecoder, *, precision: InferencePrecision) -> None:
        super().__init__((decoder.W_s.weight, decoder.W_s.bias), precision)
        self._decoder, self._attention = decoder, PreparedAttention(decoder.attention)
        self._cell = PreparedCell.of(decoder.layer(0))
        W_words, *W_fed = (self._cell.reorder(part) for part in decoder.layer(0).matrices())  # noqa: N806
        self._E, self._W_words, self._feeds = decoder.E.weight.detach(), W_words, bool(W_fed)
        self._from_state = inference_linear(torch.cat([self._cell.W_hh, *W_fed], dim=1), None, precision=precision)
        hidden, W_c = decoder.settings.hidden, decoder.W_c.weight.detach() * 2  # noqa: N806 (the paper's name)
        W_context, W_h = torch.split(W_c, [W_c.shape[1] - hidden, hidden], dim=1)  # noqa: N806
        self._readout_dim = len(W_context)
        self._from_h = _stacked(W_h, self._attention.W_q, precision)
        self._from_annotations = _stacked(W_context, self._attention.W_k, precision)

    def _project_tokens(self, tokens: Tensor) -> Tensor:
        return linear(self._E[tokens], self._W_words, self._cell.bias)

    def _remember(self, annotations: Annotations) -> PreparedMemory:
        values = annotations.values
        product = self._from_annotations(values.flatten(0, 1)).view(*values.shape[:2], -1)
        keys, projected = product[..., self._readout_dim :], product[..., : self._readout_dim]
        projected = projected if self._precision == "float32" else projected.bfloat16()
        return self._attention.remember(values if self._attention.W_k is None else keys, projected, annotations.mask)

    def _first_state(self, annotations: Annotations) -> Hidden:
        first = {name: states[:, 0, 0] for name, states in self._decoder.first_states(annotations, 1).items()}
        return first | ({"fed": torch.zeros_like(first["h"])} if self._feeds else {})

    def _advance(
        self, memory: Memory, before: Hidden, index: ParentIndex, projected: Tensor
    ) -> tuple[Hidden, Tensor, Tensor]:
        # 1. the gates: once a parent, then with the token
        of_parents = [before[name].index_select(0, index.unique) for name in ("h", "fed") if name in before]
        gates = projected.add_(self._from_state(torch.cat(of_parents, dim=1)).index_select(0, index.inverse))
        hidden = self._cell.update(gates, before, index.parents)
        # 2. attention from the new state, and h̃
        product = self._from_h(hidden["h"])
        query = hidden["h"] if self._attention.W_q is None else product[:, self._readout_dim :].contiguous()
        rows = GroupedRows.of(index.batch_index, index.rows.num_inputs)
        context, weights = self._attention(query, memory, rows)
        readout = context.add_(product[:, : self._readout_dim]).sigmoid_().mul_(2).sub_(1)
        return hidden | ({"fed": readout} if self._feeds else {}), readout, weights


def _stacked(first: Tensor, second: Tensor | None, precision: InferencePrecision) -> Product:
    """The products with both matrices, one behind the other."""
    return inference_linear(first if second is None else torch.cat([first, second]), None, precision=precision)
