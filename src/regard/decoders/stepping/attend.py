"""``attend`` with soft attention, step by step (see :mod:`regard.decoders.attend` for the formulas).

    sees    W_hh h + W_c β Σ_i α_i a_i and L_z β Σ_i α_i a_i, from h_{t−1} alone
    reads   W_e E y and E y, then the gates, the cell, L_h h_t and the vocabulary product

The parts of the gates stand in another order here: i, f, o, g of an LSTM; and r, z, W n, U n of a GRU, whose reset gate
acts on the last alone. As tanh x = 2 σ(2x) − 1, and σ takes a sixth of the time, what stands under tanh comes doubled.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.decoders.attend import AttendDecoder
from regard.decoders.cells import LSTMCell
from regard.decoders.stepping.family import FamilyStepper, Rows
from regard.decoders.stepping.looks import Looks, StepMemory
from regard.decoders.stepping.rows import Looking
from regard.kernels.products import InferencePrecision, ready_product


class AttendStepper(FamilyStepper):
    """Args:
    decoder: with soft attention, in evaluation mode.
    precision: of the products.
    """

    def __init__(self, decoder: AttendDecoder, *, precision: InferencePrecision) -> None:
        looks = Looks(decoder.attention)
        super().__init__(looks, (decoder.L_o.weight, decoder.L_o.bias), precision)
        self._decoder = decoder
        self._keys = None if looks.W_k is None else ready_product(looks.W_k, None, precision=precision)
        cell, hidden = decoder.cell, decoder.settings.hidden
        self._lstm, self._hidden, self._gates = isinstance(cell, LSTMCell), hidden, 4 * hidden
        of_words, of_context = cell.matrices()
        self._E, self._deep = decoder.E.weight.detach(), decoder.L_z is not None
        self._W_e = self._arranged(of_words, inner=False)
        self._bias = self._arranged(cell.bias_ih, inner=False) + self._arranged(cell.bias_hh, inner=True)
        state_parts = [self._arranged(cell.weight_hh, inner=True)]
        if looks.W_q is not None:
            state_parts.append(looks.W_q)
        bias = None
        self._gated = decoder.w_beta is not None
        if decoder.w_beta is not None:
            state_parts.append(decoder.w_beta.weight)
            bias = torch.cat([cell.bias_hh.new_zeros(sum(map(len, state_parts[:-1]))), decoder.w_beta.bias])
        self._of_state = ready_product(torch.cat(state_parts), bias, precision=precision)
        context_parts = [self._arranged(of_context, inner=False)]
        if decoder.L_z is not None:
            context_parts.append(decoder.L_z.weight)
        self._of_context = ready_product(torch.cat(context_parts), None, precision=precision)
        self._L_h = ready_product(decoder.L_h.weight, decoder.L_h.bias, precision=precision)

    def _arranged(self, rows: Tensor, *, inner: bool) -> Tensor:
        """A matrix or a bias of all gates as it is used here; ``inner`` ones belong to the state."""
        first, second, third, *fourth = torch.split(rows.detach(), self._hidden)
        doubled = third * 2
        if fourth:
            return torch.cat([first, second, fourth[0], doubled])
        nothing = torch.zeros_like(third)
        return torch.cat([first, second, *((nothing, doubled) if inner else (doubled, nothing))])

    def _of_words(self, words: Tensor) -> Tensor:
        embedded = self._E[words]
        gates = linear(embedded, self._W_e, self._bias)
        return torch.cat([gates, embedded], dim=1) if self._deep else gates

    def _remember(self, annotations: Annotations) -> tuple[Tensor, Tensor]:
        values = annotations.values
        return values if self._keys is None else self._keys(values.flatten(0, 1)).view(*values.shape[:2], -1), values

    def _first(self, annotations: Annotations) -> Rows:
        return self._decoder.first_states(annotations)

    def _see(self, memory: StepMemory, before: Rows, looking: Looking) -> tuple[Tensor, Tensor]:
        h = before["h"].index_select(0, looking.rows)
        product = self._of_state(h)
        query = h if self._looks.W_q is None else product[:, self._gates : self._gates + len(self._looks.W_q)]
        context, weights = self._mix(memory, query.contiguous(), looking)
        if self._gated:
            context = context.mul_(product[:, -1:].sigmoid())
        seen = self._of_context(context)
        seen[:, : self._gates].add_(product[:, : self._gates])
        return seen, weights

    def _read(self, told: Tensor, before: Rows, parents: Tensor) -> tuple[Rows, Tensor]:
        gates = told[:, : self._gates]
        after = (
            self._lstm_cell(gates, before["c"].index_select(0, parents))
            if self._lstm
            else self._gru_cell(gates, before["h"].index_select(0, parents))
        )
        readout = self._L_h(after["h"])
        return after, readout.add_(told[:, self._gates :]) if self._deep else readout

    def _lstm_cell(self, gates: Tensor, c: Tensor) -> Rows:
        i, f, o, g = gates.sigmoid_().chunk(4, dim=1)
        c = c.mul_(f).addcmul_(i, g, value=2).sub_(i)
        return {"h": (c * 2).sigmoid_().sub_(0.5).mul_(o).mul_(2), "c": c}

    def _gru_cell(self, gates: Tensor, h: Tensor) -> Rows:
        r, z = gates[:, : 2 * self._hidden].sigmoid_().chunk(2, dim=1)
        outer, inner = gates[:, 2 * self._hidden :].chunk(2, dim=1)
        n = torch.addcmul(outer, r, inner).sigmoid_().mul_(2).sub_(1)
        return {"h": torch.lerp(n, h, z)}
