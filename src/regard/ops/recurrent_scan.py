"""A recurrent network over whole targets, with or without attention before every step, its gradient written out.

    e_t = score(h_{t−1}, keys)      α_t = softmax(e_t)      β_t = σ(w_β h_{t−1} + b_β)
    h_t = cell(inputs_t + W_c (β_t Σ_i α_ti value_i), h_{t−1})

Without attention the second line is h_t = cell(inputs_t, h_{t−1}).

Autograd over a loop keeps every intermediate of every step and takes the gradient of each matrix as a sum of small
products. Here the forward pass saves the states, the gates and α; the backward pass goes back through time with the
products that the recurrence needs, computes the scores' tanh again, and takes the gradient of each matrix as one
product over all tokens. Only real tokens are read. Under autocast the products are taken in its dtype, with states and
sums in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from regard.ops.additive import AdditiveScorer
from regard.ops.autocast import ScanDtypes, scan_dtypes
from regard.ops.cells import CellKind, CellState, GatedStep, build_step
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


class Scanned(NamedTuple):
    """The result of a scan: h [tokens, hidden] after each token, α [tokens, position] and β [tokens, 1] before it."""

    h: Float[Tensor, "tokens hidden"]
    weights: Tensor | None
    beta: Tensor | None


def scan(spec: Scan, operands: Operands) -> Scanned:
    """Read all tokens; without keys there are no weights, and without ``w_beta`` no β."""
    return Scanned(*_RecurrentScan.apply(spec, *operands))  # type: ignore[no-untyped-call]


class _RecurrentScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, spec: Scan, *tensors: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        operands = Operands(*tensors)  # type: ignore[arg-type]
        dtypes = scan_dtypes(operands.W_hh)
        with torch.autocast(operands.h.device.type, enabled=False):
            saved = _forward(_Prepared(spec, operands, dtypes))
        needed = operands._replace(inputs=saved.h)  # the inputs themselves are not needed again
        ctx.save_for_backward(*needed, *saved)
        ctx.spec, ctx.dtypes = spec, dtypes
        ctx.set_materialize_grads(False)
        return saved.h, saved.weights, saved.beta

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        count = len(Operands._fields)
        operands, saved = Operands(*ctx.saved_tensors[:count]), _Saved(*ctx.saved_tensors[count:])
        with torch.autocast(operands.h.device.type, enabled=False):
            prepared = _Prepared(ctx.spec, operands, ctx.dtypes)
            wanted = Operands(*ctx.needs_input_grad[1:])
            return None, *_Backward(prepared, saved, gradients, values_need_grad=bool(wanted.values)).run()


class _Prepared:
    """The operands of one scan in the dtype that they are used in, and what is computed from them once."""

    def __init__(self, spec: Scan, operands: Operands, dtypes: ScanDtypes) -> None:
        self.spec, self.operands, self.packing = spec, operands, spec.packing
        self.products, self.sums = dtypes
        compiled = current_ops(operands.h.device, self.sums)
        self.cell = build_step(spec.cell, operands.U, self.linear, compiled=compiled)
        self.first = CellState(operands.h.to(self.sums), None if operands.c is None else operands.c.to(self.sums))
        self.W_hh = operands.W_hh if operands.W_q is None else torch.cat([operands.W_hh, operands.W_q])
        self.num_gates = len(operands.W_hh)
        self.attention = None if operands.keys is None else _PreparedAttention(spec, operands, dtypes)

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


class _PreparedAttention:
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


class _Saved(NamedTuple):
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


def _forward(prepared: _Prepared) -> _Saved:
    operands, attention, saved = prepared.operands, prepared.attention, _allocate(prepared)
    width, state = operands.inputs.shape[1], prepared.first
    if attention is None:
        saved.gates[:, :width] = operands.inputs
    for step in prepared.packing.steps:
        # 1. the states that go on, and their products: the gates' share and the query
        before = prepared.before(step, state)
        product = prepared.from_state(before.h)
        gates = saved.gates[step.tokens]
        # 2. attention from the state before, and what its context and the embeddings add to the gates
        if attention is not None:
            query = before.h
            if saved.query is not None:
                query = saved.query[step.tokens].copy_(product[:, prepared.num_gates :])
            gated_weights = _attend(attention, saved, step, before.h, query)
            _write_inputs(prepared, attention, step, gated_weights, gates[:, :width])
        # 3. the recurrent step, written where it is saved
        state = saved.state(step.tokens)
        prepared.cell.forward(gates, product[:, : prepared.num_gates], before, state)
    return saved


def _allocate(prepared: _Prepared) -> _Saved:
    tokens, hidden, operands = len(prepared.packing), prepared.first.h.shape[1], prepared.operands
    new, keys = prepared.new, operands.keys
    return _Saved(
        h=new(tokens, hidden),
        weights=None if keys is None else new(tokens, keys.shape[1]),
        beta=None if operands.w_beta is None else new(tokens, 1),
        gates=new(tokens, prepared.cell.num_saved * hidden),
        c=None if operands.c is None else new(tokens, hidden),
        query=None if operands.W_q is None else new(tokens, len(operands.W_q)),
    )


def _attend(attention: _PreparedAttention, saved: _Saved, step: TimeStep, h: Tensor, query: Tensor) -> Tensor:
    """β α of one step, [rows, position]; α and β are saved."""
    assert saved.weights is not None, "allocated for attention"
    scores = attention.scorer.scores(query, step)
    if attention.spec.mask is not None:
        real = attention.spec.mask.index_select(0, attention.spec.packing.inputs[step.tokens])
        scores.masked_fill_(~real, float("-inf"))
    weights = torch.softmax(scores, dim=-1, out=saved.weights[step.tokens])
    if saved.beta is None or attention.w_beta is None or attention.b_beta is None:
        return weights
    beta = torch.addmm(attention.b_beta, h, attention.w_beta.t(), out=saved.beta[step.tokens])
    return weights * beta.sigmoid_()


def _write_inputs(
    prepared: _Prepared, attention: _PreparedAttention, step: TimeStep, gated_weights: Tensor, out: Tensor
) -> None:
    """All that enters the gates of one step but the state, [rows, gates]."""
    inputs = prepared.operands.inputs[step.tokens]
    if attention.W_c is None:
        attention.weighted_sum.forward(gated_weights, step, start=inputs, out=out)
        return
    context = prepared.new(len(gated_weights), attention.values.shape[-1])
    attention.weighted_sum.forward(gated_weights, step, out=context)
    torch.add(attention.from_context(context), inputs, out=out)


class _Backward:
    """The pass back through time.

    Gradients of what is multiplied with a matrix are written token by token, and the gradient of the matrix is one
    product at the end. ``values_need_grad`` is False for cached features.
    """

    def __init__(
        self, prepared: _Prepared, saved: _Saved, gradients: tuple[Tensor | None, ...], *, values_need_grad: bool
    ) -> None:
        self.prepared, self.saved, self.values_need_grad = prepared, saved, values_need_grad
        self.grad_h, self.grad_weights, self.grad_beta = gradients
        self.packing = prepared.packing
        tokens, gates, attention = len(self.packing), prepared.num_gates, prepared.attention
        self.h_before = torch.cat([prepared.first.h, saved.h]).index_select(0, self.packing.before())

        def new(columns: int) -> Tensor:
            return saved.h.new_empty(tokens, columns, dtype=prepared.products)

        self.grad_product = new(len(prepared.W_hh))  # of the state: the gates and the query
        width = gates if prepared.operands.U is None else gates + len(prepared.operands.U)
        # both parts of an LSTM's sums have one gradient
        self.grad_inputs = self.grad_product[:, :gates] if prepared.spec.cell == "lstm" else new(width)
        needs_context = values_need_grad and attention is not None and attention.W_c is not None
        self.grad_context = new(attention.values.shape[-1]) if attention is not None and needs_context else None
        self.grad_gate = None if saved.beta is None else torch.empty_like(saved.beta)  # before its σ

    def run(self) -> tuple[Tensor | None, ...]:
        """The gradients of all operands, in their order."""
        steps, first = self.packing.steps, self.prepared.first
        later = CellState(torch.zeros_like(self.h_before[steps[-1].tokens]), None)
        for number, step in reversed(list(enumerate(steps))):
            earlier = None if number == 0 else steps[number - 1].tokens
            c = first.c if earlier is None or self.saved.c is None else self.saved.c[earlier]
            rows_before = len(first.h) if earlier is None else earlier.stop - earlier.start
            before = CellState(self.h_before[step.tokens], None if c is None else step.carry(c))
            later = self._step(step, before, later)
            later = CellState(
                step.carry_back(later.h, rows_before),
                None if later.c is None else step.carry_back(later.c, rows_before),
            )
        return self._operands(later)

    def _step(self, step: TimeStep, before: CellState, later: CellState) -> CellState:
        """The gradient of the state before a step, from that of the state after it."""
        prepared, tokens, gates = self.prepared, step.tokens, self.prepared.num_gates
        # 1. through the cell
        grad_after = later if self.grad_h is None else CellState(later.h + self.grad_h[tokens], later.c)
        grad_recurrent = self.grad_product[tokens, :gates]
        gradient = prepared.cell.backward(
            self.saved.gates[tokens], before, self.saved.state(tokens), grad_after, grad_recurrent
        )
        if prepared.spec.cell != "lstm":
            self.grad_inputs[tokens] = gradient.inputs
        # 2. through attention, to the query
        grad_query = None
        if prepared.attention is not None:
            grad_query = self._attention(prepared.attention, step, before.h, gradient.inputs)
        # 3. through the products with the state
        grad_h = prepared.grad_state(self.grad_product[tokens]).to(prepared.sums)
        if grad_query is not None:
            grad_h += grad_query
        if gradient.h is not None:
            grad_h += gradient.h
        if self.grad_gate is not None and prepared.attention is not None and prepared.attention.w_beta is not None:
            grad_h.addmm_(self.grad_gate[tokens], prepared.attention.w_beta)
        return CellState(grad_h, gradient.c)

    def _attention(
        self, attention: _PreparedAttention, step: TimeStep, h: Tensor, grad_inputs: Tensor
    ) -> Tensor | None:
        """The gradient of the queries where they are the states; else it is written beside that of the gates."""
        tokens = step.tokens
        grad_context = grad_inputs if attention.W_c is None else attention.grad_context(self.grad_inputs[tokens])
        if self.grad_context is not None:
            self.grad_context[tokens] = grad_context
        grad_scores = self._softmax(attention, step, grad_context)
        query = h if self.saved.query is None else self.saved.query[tokens]
        grad_query = attention.scorer.backward(query, grad_scores, step)
        if self.saved.query is None:
            return grad_query
        self.grad_product[tokens, self.prepared.num_gates :] = grad_query
        return None

    def _softmax(self, attention: _PreparedAttention, step: TimeStep, grad_context: Tensor) -> Tensor:
        """The gradient of the scores of a step, [rows, position]; that of β on the way."""
        assert self.saved.weights is not None, "saved by attention"
        tokens = step.tokens
        weights = self.saved.weights[tokens]
        grad_weights = attention.weighted_sum.backward(grad_context, step)
        if self.saved.beta is not None and self.grad_gate is not None:
            beta = self.saved.beta[tokens]
            grad_beta = (grad_weights * weights).sum(dim=-1, keepdim=True)
            if self.grad_beta is not None:
                grad_beta += self.grad_beta[tokens]
            self.grad_gate[tokens] = grad_beta * beta * (1 - beta)
            grad_weights *= beta
        if self.grad_weights is not None:
            grad_weights += self.grad_weights[tokens]
        return weights * (grad_weights - (grad_weights * weights).sum(dim=-1, keepdim=True))

    def _operands(self, grad_first: CellState) -> tuple[Tensor | None, ...]:
        """All gradients; those of matrices as one product over all tokens."""
        prepared, operands, gates = self.prepared, self.prepared.operands, self.prepared.num_gates
        grad_matrices = (self.grad_product.t() @ self.h_before.to(prepared.products)).to(prepared.sums)
        found = Operands(
            inputs=self.grad_inputs,
            h=grad_first.h,
            c=grad_first.c,
            W_hh=grad_matrices[:gates],
            b_hh=None if operands.b_hh is None else self.grad_product[:, :gates].sum(dim=0),
            U=self._inner_matrix(),
            W_q=None if operands.W_q is None else grad_matrices[gates:],
            w_beta=None if self.grad_gate is None else self.grad_gate.t() @ self.h_before,
            b_beta=None if self.grad_gate is None else self.grad_gate.sum(dim=0),
        )
        return tuple(found if prepared.attention is None else self._attention_operands(found, prepared.attention))

    def _attention_operands(self, found: Operands, attention: _PreparedAttention) -> Operands:
        """The same with the gradients of keys, v, values and W_c."""
        saved = self.saved
        assert saved.weights is not None, "saved by attention"
        grad_keys, grad_v = attention.scorer.gradients()
        gated_weights = saved.weights if saved.beta is None else saved.weights * saved.beta
        gated_weights = gated_weights.to(attention.products)
        found = found._replace(keys=grad_keys, v=grad_v)
        if attention.W_c is not None:
            # contexts are summed again, for all steps at once
            contexts = torch.bmm(self.packing.to_inputs(gated_weights), attention.values)
            found = found._replace(W_c=self.grad_inputs.t() @ self.packing.from_inputs(contexts))
        if self.values_need_grad:
            # this takes as much memory as anything here, so what it does not need goes first
            del self.h_before, attention.scorer, self.prepared.grad_state, self.prepared.W_hh
            found = found._replace(values=self._values(attention, gated_weights))
        return found

    def _values(self, attention: _PreparedAttention, gated_weights: Tensor) -> Tensor:
        """The gradient of the values."""
        grad_context = self.grad_inputs if self.grad_context is None else self.grad_context
        grad_values = torch.empty_like(attention.values)
        for number, tokens in enumerate(self.packing.tokens_of_inputs()):
            torch.mm(gated_weights[tokens].t(), grad_context[tokens], out=grad_values[number])
        return grad_values

    def _inner_matrix(self) -> Tensor | None:
        """The gradient of U."""
        U = self.prepared.operands.U  # noqa: N806 (the paper's name)
        if U is None:
            return None
        reset_state = GatedStep.reset_state(self.saved.gates, self.h_before).to(self.prepared.products)
        return self.grad_inputs[:, -len(U) :].t() @ reset_state
