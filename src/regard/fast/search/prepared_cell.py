"""Recurrent cells with their gates reordered, and biases summed, for inference.

The gates of an LSTM stand in the order i, f, o, g here, those of a GRU as r, z, W n, U n, whose reset gate acts on the
last alone. As tanh x = 2 σ(2x) − 1, and σ takes a sixth of the time, what stands under tanh comes doubled.
"""

from __future__ import annotations

import torch
from torch import Tensor

from regard.decoders.cells import Cell, Hidden, LSTMCell


class PreparedCell:
    """An LSTM or a GRU with reordered gates.

    Args:
        W_hh: [num_gates × hidden, hidden], in PyTorch's order; 4 gates of an LSTM, 3 of a GRU.
        b_ih, b_hh: [num_gates × hidden].

    Attributes:
        num_gates: number of gate elements of a row, 4 × hidden.
        bias: [num_gates].
        W_hh: [num_gates, hidden].
    """

    def __init__(self, W_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> None:  # noqa: N803 (the usual names)
        self._hidden = W_hh.shape[1]
        self._lstm = len(W_hh) == 4 * self._hidden
        self.num_gates = 4 * self._hidden
        self.bias = self.reorder(b_ih) + self.reorder(b_hh, of_state=True)
        self.W_hh = self.reorder(W_hh, of_state=True)

    @classmethod
    def of(cls, cell: Cell) -> PreparedCell:
        """A decoder's cell."""
        assert isinstance(cell, LSTMCell) == (cell.num_gates == 4), "an LSTM has four gates, a GRU three"
        return cls(cell.weight_hh, cell.bias_ih, cell.bias_hh)

    def reorder(self, rows: Tensor, *, of_state: bool = False) -> Tensor:
        """A matrix or a bias of all gates in the order above; ``of_state`` for what belongs to the state."""
        first, second, third, *fourth = torch.split(rows.detach(), self._hidden)
        doubled = third * 2
        if fourth:
            return torch.cat([first, second, fourth[0], doubled])
        zeros = torch.zeros_like(third)
        return torch.cat([first, second, *((zeros, doubled) if of_state else (doubled, zeros))])

    def update(self, gates: Tensor, before: Hidden, parents: Tensor) -> Hidden:
        """The next states of rows that continue ``parents`` (int64 [rows]), from their gates, which are overwritten."""
        if self._lstm:
            return self._lstm_update(gates, before["c"].index_select(0, parents))
        return self._gru_update(gates, before["h"].index_select(0, parents))

    def _lstm_update(self, gates: Tensor, c: Tensor) -> Hidden:
        i, f, o, g = gates.sigmoid_().chunk(4, dim=1)
        c = c.mul_(f).addcmul_(i, g, value=2).sub_(i)
        return {"h": (c * 2).sigmoid_().sub_(0.5).mul_(o).mul_(2), "c": c}

    def _gru_update(self, gates: Tensor, h: Tensor) -> Hidden:
        gates_rz, input_n, state_n = torch.split_with_sizes(
            gates, [2 * self._hidden, self._hidden, self._hidden], dim=1
        )
        r, z = gates_rz.sigmoid_().chunk(2, dim=1)
        n = torch.addcmul(input_n, r, state_n).sigmoid_().mul_(2).sub_(1)
        return {"h": torch.lerp(n, h, z)}


def double_candidate(rows: Tensor, hidden: int) -> Tensor:
    """A matrix or a bias of two gates and a candidate [3 × hidden, ...] with the candidate doubled."""
    gates, candidate = torch.split(rows.detach(), [2 * hidden, hidden])
    return torch.cat([gates, candidate * 2])
