"""Recurrent cells as a search takes them.

The parts of the gates stand in another order here: i, f, o, g of an LSTM; and r, z, W n, U n of a GRU, whose reset gate
acts on the last alone. As tanh x = 2 σ(2x) − 1, and σ takes a sixth of the time, what stands under tanh comes doubled.
"""

from __future__ import annotations

import torch
from torch import Tensor

from regard.decoders.cells import Cell, LSTMCell

Vectors = dict[str, Tensor]
"""Vectors of rows by name, each [rows, hidden]."""


class ReadyCell:
    """A cell with its gates in that order.

    Args:
        cell: an LSTM or a GRU.

    Attributes:
        gates: numbers of all gates of a row.
        bias: of all gates.
        of_state: the matrix of the state [gates, hidden].
    """

    def __init__(self, cell: Cell) -> None:
        self._lstm, self._hidden = isinstance(cell, LSTMCell), cell.hidden
        self.gates = 4 * cell.hidden
        self.bias = self.arranged(cell.bias_ih) + self.arranged(cell.bias_hh, inner=True)
        self.of_state = self.arranged(cell.weight_hh, inner=True)

    def arranged(self, rows: Tensor, *, inner: bool = False) -> Tensor:
        """A matrix or a bias of all gates as it is used here; ``inner`` ones belong to the state."""
        first, second, third, *fourth = torch.split(rows.detach(), self._hidden)
        doubled = third * 2
        if fourth:
            return torch.cat([first, second, fourth[0], doubled])
        nothing = torch.zeros_like(third)
        return torch.cat([first, second, *((nothing, doubled) if inner else (doubled, nothing))])

    def update(self, gates: Tensor, before: Vectors, parents: Tensor) -> Vectors:
        """The next states of rows that continue ``parents`` (int64 [rows]), from their gates, which are changed."""
        if self._lstm:
            return self._lstm_update(gates, before["c"].index_select(0, parents))
        return self._gru_update(gates, before["h"].index_select(0, parents))

    def _lstm_update(self, gates: Tensor, c: Tensor) -> Vectors:
        i, f, o, g = gates.sigmoid_().chunk(4, dim=1)
        c = c.mul_(f).addcmul_(i, g, value=2).sub_(i)
        return {"h": (c * 2).sigmoid_().sub_(0.5).mul_(o).mul_(2), "c": c}

    def _gru_update(self, gates: Tensor, h: Tensor) -> Vectors:
        r, z = gates[:, : 2 * self._hidden].sigmoid_().chunk(2, dim=1)
        outer, inner = gates[:, 2 * self._hidden :].chunk(2, dim=1)
        n = torch.addcmul(outer, r, inner).sigmoid_().mul_(2).sub_(1)
        return {"h": torch.lerp(n, h, z)}
