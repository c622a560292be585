"""Recurrent cells whose input comes in parts, so that the part known beforehand is projected for all steps at once.

A cell reads ``[x_1; x_2; …]``; the product with each part is taken separately with its columns of one matrix, which is
the same sum. Parameter names, shapes and gate order are those of ``torch.nn.LSTMCell`` and ``torch.nn.GRUCell``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from jaxtyping import Float

CellName = Literal["lstm", "gru"]
Hidden = dict[str, Tensor]
"""``h`` and, for an LSTM, ``c``; each [..., hidden]."""


class Cell(nn.Module, ABC):
    """One recurrent step. ``input_dims`` are the sizes of the parts of its input."""

    num_gates: int

    def __init__(self, input_dims: tuple[int, ...], hidden: int) -> None:
        super().__init__()
        self.input_dims = input_dims
        self.hidden = hidden
        self.weight_ih = nn.Parameter(torch.empty(self.num_gates * hidden, sum(input_dims)))
        self.weight_hh = nn.Parameter(torch.empty(self.num_gates * hidden, hidden))
        self.bias_ih = nn.Parameter(torch.zeros(self.num_gates * hidden))
        self.bias_hh = nn.Parameter(torch.zeros(self.num_gates * hidden))
        bound = 1 / math.sqrt(hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def columns(self, part: int) -> Float[Tensor, "gates input_dim"]:
        """The matrix of part number ``part``, [num_gates × hidden, input_dims[part]]."""
        first = sum(self.input_dims[:part])
        return self.weight_ih[:, first : first + self.input_dims[part]]

    def project(self, part: int, value: Float[Tensor, "*shape input_dim"]) -> Float[Tensor, "*shape gates"]:
        """The share of part number ``part`` in the gates, [..., num_gates × hidden]; the bias comes with part 0."""
        return nn.functional.linear(value, self.columns(part), self.bias_ih if part == 0 else None)

    @torch.no_grad()
    def expect_small(self, part: int, deviation: float) -> None:
        """Begin with larger weights for a part of small values, of standard deviation ``deviation``.

        Embeddings that share their matrix with the output layer are small; beside annotations of unit size a cell would
        hardly hear the words at first.
        """
        first = sum(self.input_dims[:part])
        self.weight_ih[:, first : first + self.input_dims[part]] /= deviation

    def matrices(self) -> tuple[Tensor, ...]:
        """The :meth:`columns` of every part, in one operation whose gradient is written once."""
        return torch.split_with_sizes(self.weight_ih, list(self.input_dims), dim=1)

    @abstractmethod
    def update(self, gates: Float[Tensor, "*shape gates"], hidden: Hidden) -> Hidden:
        """The next hidden state from the summed projections and the previous state."""


class LSTMCell(Cell):
    """i, f, o = σ(·), g = tanh(·), c = f∘c + i∘g, h = o∘tanh(c) (Hochreiter & Schmidhuber 1997, with forget gate)."""

    num_gates = 4

    def update(self, gates: Float[Tensor, "*shape gates"], hidden: Hidden) -> Hidden:
        total = gates + nn.functional.linear(hidden["h"], self.weight_hh, self.bias_hh)
        i, f, g, o = total.chunk(4, dim=-1)
        c = torch.sigmoid(f) * hidden["c"] + torch.sigmoid(i) * torch.tanh(g)
        return {"h": torch.sigmoid(o) * torch.tanh(c), "c": c}


class GRUCell(Cell):
    """r, z = σ(·), n = tanh(W x + r∘(U h)), h = (1−z)∘n + z∘h (Cho 2014, in the form of ``torch.nn.GRUCell``)."""

    num_gates = 3

    def update(self, gates: Float[Tensor, "*shape gates"], hidden: Hidden) -> Hidden:
        h = hidden["h"]
        recurrent = nn.functional.linear(h, self.weight_hh, self.bias_hh)
        x_r, x_z, x_n = gates.chunk(3, dim=-1)
        h_r, h_z, h_n = recurrent.chunk(3, dim=-1)
        z = torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
        return {"h": n + z * (h - n)}


def build_cell(name: CellName, input_dims: tuple[int, ...], hidden: int) -> Cell:
    """An LSTM or GRU cell for inputs of the given parts."""
    return LSTMCell(input_dims, hidden) if name == "lstm" else GRUCell(input_dims, hidden)


def hidden_names(name: CellName) -> tuple[str, ...]:
    """The names of a cell's state vectors."""
    return ("h", "c") if name == "lstm" else ("h",)
