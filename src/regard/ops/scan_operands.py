"""What a recurrent scan reads, computes once and saves, see :mod:`regard.ops.recurrent_scan`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from regard.ops.additive import AdditiveScorer
from regard.ops.autocast import ScanDtypes
from regard.ops.cells import CellKind, CellState, build_step
from regard.ops.cpu.compiled import current_ops
from regard.ops.linear import Product, prepare_linear
from regard.ops.packing import Packing, TimeStep
from regard.ops.scores import DotScorer, Scorer
from regard.ops.weighted_sum import WeightedSum

if TYPE_CHECKING:
    from jaxtyping import Float


class Operands(NamedTuple):
    """What a scan is differentiated with respect to.

    Attributes:
        inputs: [tokens, gates], what the embeddings add to the gates, biases included; packed.
        h, c: [rows, hidden], the first states of all rows that have a token; c of an LSTM only.
        W_hh: [gates, hidden], what the state is multiplied with.
        b_hh: [gates], of that product, or None.
        U: [hidden, hidden] of the gated unit, else None.
        keys: [batch, position, key_dim], projected; None without attention, as all that follows.
        values: [batch, position, dim]; without ``W_c`` already projected to the gates.
        W_c: [gates, dim], or None when the values come projected.
        W_q: [key_dim, hidden], the projection of queries, or None when the state itself is the query.
        v: [key_dim], of the additive score, or None for dot products.
        w_beta, b_beta: [1, hidden] and [1], or None without the gate β.
    """

    inputs: Float[Tensor, "tokens gates"]
    h: Float[Tensor, "rows hidden"]
    c: Tensor | None
    W_hh: Float[Tensor, "state_gates hidden"]
    b_hh: Tensor | None = None
    U: Tensor | None = None
    keys: Tensor | None = None
    values: Tensor | None = None
    W_c: Tensor | None = None
    W_q: Tensor | None = None
    v: Tensor | None = None
    w_beta: Tensor | None = None
    b_beta: Tensor | None = None


@dataclass(frozen=True)
class Scan:
    """What a scan is not differentiated with respect to.

    Attributes:
        packing: the real tokens.
        cell: the recurrent network.
        mask: bool [batch, position], True on real positions, or None.
        scale: of dot scores.
    """

    packing: Packing
    cell: CellKind
    mask: Tensor | None = None
    scale: float = 1.0


class PreparedScan:
    """The operands of one scan in the dtype that they are used in, and what is computed from them once."""

    def __init__(self, spec: Scan, operands: Operands, dtypes: ScanDtypes) -> None:
        self.spec, self.operands, self.packing = spec, operands, spec.packing
        self.products, self.sums = dtypes
        compiled = current_ops(operands.h.device, self.sums)
        self.cell = build_step(spec.cell, operands.U, self.linear, compiled=compiled)
        self.first = CellState(operands.h.to(self.sums), None if operands.c is None else operands.c.to(self.sums))
        self.W_hh = operands.W_hh if operands.W_q is None else torch.cat([operands.W_hh, operands.W_q])
        self.num_gates = len(operands.W_hh)
        self.attention = None if operands.keys is None else PreparedAttention(spec, operands, dtypes)

    @cached_property
    def from_state(self) -> Product:
        """Gates and queries [rows, gates + key_dim] of states."""
        bias = self.operands.b_hh
        if bias is not None:
            bias = torch.nn.functional.pad(bias, (0, len(self.W_hh) - len(bias)))
        return prepare_linear(self.W_hh, self.products, bias)

    @cached_property
    def grad_state(self) -> Product:
        """The gradient of states from that of gates and queries."""
        return self.linear(self.W_hh.t())

    def linear(self, matrix: Tensor) -> Product:
        """x ↦ x Wᵀ in the dtype of the products."""
        return prepare_linear(matrix, self.products)

    def before(self, step: TimeStep, state: CellState) -> CellState:
        """The states before a step, of the rows that have a token in it."""
        return CellState(step.carry(state.h), None if state.c is None else step.carry(state.c))

    def new(self, rows: int, columns: int) -> Tensor:
        """[rows, columns], uninitialised, for states and sums."""
        return self.first.h.new_empty(rows, columns)


class PreparedAttention:
    """The operands of attention, likewise."""

    def __init__(self, spec: Scan, operands: Operands, dtypes: ScanDtypes) -> None:
        assert operands.keys is not None, "attention compares with keys"
        assert operands.values is not None, "attention sums values"
        self.products, self.sums = dtypes
        self.spec, self.W_c = spec, operands.W_c
        self.values = operands.values.to(self.products)
        self.weighted_sum = WeightedSum(self.values, self.sums)
        self.w_beta = None if operands.w_beta is None else operands.w_beta.to(self.sums)
        self.b_beta = None if operands.b_beta is None else operands.b_beta.to(self.sums)
        keys, v = operands.keys.to(self.sums), operands.v
        self.scorer: Scorer = DotScorer(keys, spec.scale) if v is None else AdditiveScorer(keys, v.to(self.sums))

    @cached_property
    def from_context(self) -> Product:
        """Gates of contexts."""
        assert self.W_c is not None, "the values do not come projected"
        return prepare_linear(self.W_c, self.products)

    @cached_property
    def grad_context(self) -> Product:
        """The gradient of contexts from that of gates."""
        assert self.W_c is not None, "the values do not come projected"
        return prepare_linear(self.W_c.t(), self.products)


class SavedActivations(NamedTuple):
    """Activations of all tokens that the backward pass needs, [tokens, ...].

    Attributes:
        h: the states.
        weights: α, or None without attention.
        beta: β, or None.
        gates: what the cell saves.
        c: the cells of an LSTM.
        query: the queries, or None where they are the states before.
    """

    h: Tensor
    weights: Tensor | None
    beta: Tensor | None
    gates: Tensor
    c: Tensor | None
    query: Tensor | None

    def state(self, tokens: slice) -> CellState:
        """After these tokens."""
        return CellState(self.h[tokens], None if self.c is None else self.c[tokens])
