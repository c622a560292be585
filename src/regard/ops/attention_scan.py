"""A recurrent network that looks before every step, over whole targets, with its gradient written out.

    e_t = score(h_{t−1}, keys)      α_t = softmax(e_t)      β_t = σ(w_β h_{t−1} + b_β)
    h_t = cell(words_t + W_c (β_t Σ_i α_ti value_i), h_{t−1})

Stepping through autograd keeps every intermediate of every step and takes the gradient of each matrix as a sum of small
products. Here the forward pass keeps the states, the gates and α; the backward pass walks back through time with the
products that the recurrence needs, computes the scores' tanh again, and takes the gradient of each matrix as one
product over all tokens. Under autocast the products are taken in its precision, with states and sums in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from regard.ops.additive import AdditiveScorer
from regard.ops.autocast import Precision, current_precision
from regard.ops.cells import CellKind, GatedStep, State, build_step
from regard.ops.cpu.compiled import current_loops
from regard.ops.linear import Product, multiplier
from regard.ops.packing import Packing, WalkStep
from regard.ops.scores import DotScorer, Scorer
from regard.ops.weighted_sum import Mixer


class Operands(NamedTuple):
    """What a walk is a function of.

    Attributes:
        words: [tokens, gates], what the words add to the gates, biases included; packed.
        h, c: [rows, hidden], the first states of all rows that are read; c of an LSTM only.
        keys: [batch, position, key_dim], projected.
        values: [batch, position, dim] to mix; without ``W_c`` already as wide as ``words``.
        of_state: [gates, hidden], what the state is multiplied with.
        bias: [gates], of that product, or None.
        U: [hidden, hidden] of the gated unit, else None.
        W_c: [gates, dim], or None when the values come multiplied with it.
        W_q: [key_dim, hidden], the projection of queries, or None when the state itself is the query.
        v: [key_dim], of the additive score, or None for dot products.
        w_beta, b_beta: [1, hidden] and [1], or None without gate.
    """

    words: Tensor
    h: Tensor
    c: Tensor | None
    keys: Tensor
    values: Tensor
    of_state: Tensor
    bias: Tensor | None = None
    U: Tensor | None = None
    W_c: Tensor | None = None
    W_q: Tensor | None = None
    v: Tensor | None = None
    w_beta: Tensor | None = None
    b_beta: Tensor | None = None


@dataclass(frozen=True)
class Walk:
    """What a walk does not differentiate.

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


def attend(walk: Walk, operands: Operands) -> tuple[Tensor, Tensor, Tensor | None]:
    """Read all tokens.

    Returns:
        h after each token [tokens, hidden], α before it [tokens, position], and β before it [tokens, 1] or None.
    """
    h, weights, beta = _Attend.apply(walk, *operands)  # type: ignore[no-untyped-call]
    return h, weights, beta


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, walk: Walk, *tensors: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        operands = Operands(*tensors)  # type: ignore[arg-type]
        precision = current_precision(operands.of_state)
        with torch.autocast(operands.h.device.type, enabled=False):
            seen = _walk_forward(_Ready(walk, operands, precision))
        needed = operands._replace(words=seen.h)  # what the words add is not needed again
        ctx.save_for_backward(*needed, *seen)
        ctx.walk, ctx.precision = walk, precision
        ctx.set_materialize_grads(False)
        return seen.h, seen.weights, seen.beta

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        count = len(Operands._fields)
        operands, seen = Operands(*ctx.saved_tensors[:count]), _Seen(*ctx.saved_tensors[count:])
        with torch.autocast(operands.h.device.type, enabled=False):
            ready = _Ready(ctx.walk, operands, ctx.precision)
            wanted = Operands(*ctx.needs_input_grad[1:])
            return None, *_Backward(ready, seen, gradients, mixed_learns=bool(wanted.values)).run()


class _Ready:
    """The operands of one walk in the precision that they are used in, and what is computed from them once."""

    def __init__(self, walk: Walk, operands: Operands, precision: Precision) -> None:
        self.walk, self.operands = walk, operands
        self.products, self.sums = precision
        loops = current_loops(operands.h.device, self.sums)
        self.cell = build_step(walk.cell, operands.U, self._multiplier, loops=loops)
        self.first = State(operands.h.to(self.sums), None if operands.c is None else operands.c.to(self.sums))
        self.of_state = operands.of_state if operands.W_q is None else torch.cat([operands.of_state, operands.W_q])
        self.num_gates = len(operands.of_state)
        self.values = operands.values.to(self.products)
        self.mixer = Mixer(self.values, self.sums)
        self.W_c = operands.W_c
        self.w_beta = None if operands.w_beta is None else operands.w_beta.to(self.sums)
        keys, v = operands.keys.to(self.sums), operands.v
        self.scorer: Scorer = DotScorer(keys, walk.scale) if v is None else AdditiveScorer(keys, v.to(self.sums))

    @cached_property
    def of_states(self) -> Product:
        """Gates and queries [rows, gates + key_dim] of states."""
        bias = self.operands.bias
        if bias is not None:
            bias = torch.nn.functional.pad(bias, (0, len(self.of_state) - len(bias)))
        return multiplier(self.of_state, self.products, bias)

    @cached_property
    def to_states(self) -> Product:
        """The gradient of states from that of gates and queries."""
        return self._multiplier(self.of_state.t())

    @cached_property
    def of_mixed(self) -> Product:
        """Gates of what was mixed."""
        assert self.W_c is not None, "the values are not multiplied already"
        return self._multiplier(self.W_c)

    @cached_property
    def to_mixed(self) -> Product:
        """The gradient of what was mixed from that of gates."""
        assert self.W_c is not None, "the values are not multiplied already"
        return self._multiplier(self.W_c.t())

    def _multiplier(self, matrix: Tensor) -> Product:
        return multiplier(matrix, self.products)

    def new(self, rows: int, numbers: int) -> Tensor:
        """[rows, numbers], not written yet, for states and sums."""
        return self.first.h.new_empty(rows, numbers)


class _Seen(NamedTuple):
    """What a walk finds, of all tokens: [tokens, ...].

    Attributes:
        h: the states.
        weights: α.
        beta: β, or None.
        kept: what the recurrent network keeps.
        c: the cells of an LSTM.
        query: the queries, or None where they are the states before.
    """

    h: Tensor
    weights: Tensor
    beta: Tensor | None
    kept: Tensor
    c: Tensor | None
    query: Tensor | None

    def state(self, tokens: slice) -> State:
        """After these tokens."""
        return State(self.h[tokens], None if self.c is None else self.c[tokens])


def _walk_forward(ready: _Ready) -> _Seen:
    tokens, hidden, operands = len(ready.walk.packing), ready.first.h.shape[1], ready.operands
    seen = _Seen(
        h=ready.new(tokens, hidden),
        weights=ready.new(tokens, operands.values.shape[1]),
        beta=None if ready.w_beta is None else ready.new(tokens, 1),
        kept=ready.new(tokens, ready.cell.kept * hidden),
        c=None if operands.c is None else ready.new(tokens, hidden),
        query=None if operands.W_q is None else ready.new(tokens, len(operands.W_q)),
    )
    state = ready.first
    for step in ready.walk.packing.steps:
        before = State(step.keep(state.h), None if state.c is None else step.keep(state.c))
        product = ready.of_states(before.h)
        query = before.h
        if seen.query is not None:
            query = seen.query[step.tokens].copy_(product[:, ready.num_gates :])
        paid = _look(ready, seen, step, before.h, query)
        state = seen.state(step.tokens)
        kept = seen.kept[step.tokens]
        _write_inputs(ready, step, paid, kept[:, : operands.words.shape[1]])
        ready.cell.forward(kept, product[:, : ready.num_gates], before, state)
    return seen


def _look(ready: _Ready, seen: _Seen, step: WalkStep, h: Tensor, query: Tensor) -> Tensor:
    """β α of one step, [rows, position]; both are written to what is seen."""
    scores = ready.scorer.scores(query, step)
    if ready.walk.mask is not None:
        real = ready.walk.mask.index_select(0, ready.walk.packing.inputs[step.tokens])
        scores.masked_fill_(~real, float("-inf"))
    weights = torch.softmax(scores, dim=-1, out=seen.weights[step.tokens])
    if seen.beta is None or ready.w_beta is None or ready.operands.b_beta is None:
        return weights
    beta = torch.addmm(ready.operands.b_beta.to(ready.sums), h, ready.w_beta.t(), out=seen.beta[step.tokens])
    return weights * beta.sigmoid_()


def _write_inputs(ready: _Ready, step: WalkStep, paid: Tensor, inputs: Tensor) -> None:
    """All that enters the gates of one step but the state, [rows, gates]."""
    words = ready.operands.words[step.tokens]
    if ready.W_c is None:
        ready.mixer.mix(paid, step, start=words, out=inputs)
        return
    mixed = ready.new(len(paid), ready.values.shape[-1])
    ready.mixer.mix(paid, step, out=mixed)
    torch.add(ready.of_mixed(mixed), words, out=inputs)


class _Backward:
    """The walk back. Gradients of what is multiplied with a matrix are written token by token and multiplied once.

    ``mixed_learns`` says whether the gradient of the values is wanted: that of cached features is not.
    """

    def __init__(self, ready: _Ready, seen: _Seen, gradients: tuple[Tensor | None, ...], *, mixed_learns: bool) -> None:
        self.ready, self.seen, self.mixed_learns = ready, seen, mixed_learns
        self.to_h, self.to_weights, self.to_beta = gradients
        self.packing = ready.walk.packing
        tokens, gates = len(self.packing), ready.num_gates
        self.h_before = torch.cat([ready.first.h, seen.h]).index_select(0, self.packing.before())
        new = ready.values.new_empty
        self.to_products = new(tokens, len(ready.of_state))  # with the state: the gates and the query
        width = ready.values.shape[-1] if ready.W_c is None else len(ready.W_c)
        self.to_inputs = self.to_products[:, :gates] if ready.walk.cell == "lstm" else new(tokens, width)
        self.to_mixed = new(tokens, ready.values.shape[-1]) if mixed_learns and ready.W_c is not None else None
        self.to_gate = None if seen.beta is None else torch.empty_like(seen.beta)  # before its σ

    def run(self) -> tuple[Tensor | None, ...]:
        """The gradients of all operands, in their order."""
        steps, first = self.packing.steps, self.ready.first
        later = State(torch.zeros_like(self.h_before[steps[-1].tokens]), None)
        for number, step in reversed(list(enumerate(steps))):
            c = first.c if number == 0 or self.seen.c is None else self.seen.c[steps[number - 1].tokens]
            rows_before = len(first.h) if number == 0 else len(self.seen.h[steps[number - 1].tokens])
            before = State(self.h_before[step.tokens], None if c is None else step.keep(c))
            later = self._step(step, before, later)
            later = State(
                step.give_back(later.h, rows_before),
                None if later.c is None else step.give_back(later.c, rows_before),
            )
        return self._operands(later)

    def _step(self, step: WalkStep, before: State, later: State) -> State:
        """The gradient of the state before a step, from that after it."""
        ready, tokens, gates = self.ready, step.tokens, self.ready.num_gates
        to_after = later if self.to_h is None else State(later.h + self.to_h[tokens], later.c)
        to_recurrent = self.to_products[tokens, :gates]
        gradient = ready.cell.backward(self.seen.kept[tokens], before, self.seen.state(tokens), to_after, to_recurrent)
        if ready.walk.cell != "lstm":
            self.to_inputs[tokens] = gradient.inputs
        to_mixed = gradient.inputs if ready.W_c is None else ready.to_mixed(self.to_inputs[tokens])
        if self.to_mixed is not None:
            self.to_mixed[tokens] = to_mixed
        to_scores = self._softmax(step, to_mixed)
        query = before.h if self.seen.query is None else self.seen.query[tokens]
        to_query = ready.scorer.backward(query, to_scores, step)
        if self.seen.query is not None:
            self.to_products[tokens, gates:] = to_query
        to_h = ready.to_states(self.to_products[tokens]).to(ready.sums)
        if self.seen.query is None:
            to_h += to_query
        if gradient.h is not None:
            to_h += gradient.h
        if self.to_gate is not None and ready.w_beta is not None:
            to_h.addmm_(self.to_gate[tokens], ready.w_beta)
        return State(to_h, gradient.c)

    def _softmax(self, step: WalkStep, to_mixed: Tensor) -> Tensor:
        """The gradient of the scores of a step, [rows, position]; that of β on the way."""
        tokens = step.tokens
        weights = self.seen.weights[tokens]
        to_weights = self.ready.mixer.backward(to_mixed, step)
        if self.seen.beta is not None and self.to_gate is not None:
            beta = self.seen.beta[tokens]
            to_beta = (to_weights * weights).sum(dim=-1, keepdim=True)
            if self.to_beta is not None:
                to_beta += self.to_beta[tokens]
            self.to_gate[tokens] = to_beta * beta * (1 - beta)
            to_weights *= beta
        if self.to_weights is not None:
            to_weights += self.to_weights[tokens]
        return weights * (to_weights - (to_weights * weights).sum(dim=-1, keepdim=True))

    def _operands(self, to_first: State) -> tuple[Tensor | None, ...]:
        """All gradients; those of matrices as one product over all tokens."""
        ready, seen, gates = self.ready, self.seen, self.ready.num_gates
        to_matrices = (self.to_products.t() @ self.h_before.to(ready.products)).to(ready.sums)
        to_keys, to_v = ready.scorer.gradients()
        paid = seen.weights if seen.beta is None else seen.weights * seen.beta
        paid = paid.to(ready.products)
        found: dict[str, Tensor | None] = {
            "words": self.to_inputs,
            "h": to_first.h,
            "c": to_first.c,
            "keys": to_keys,
            "values": None,
            "of_state": to_matrices[:gates],
            "bias": None if ready.operands.bias is None else self.to_products[:, :gates].sum(dim=0),
            "U": self._inner(),
            "W_c": None if ready.W_c is None else self._context(paid),
            "W_q": None if ready.operands.W_q is None else to_matrices[gates:],
            "v": to_v,
            "w_beta": None if self.to_gate is None else self.to_gate.t() @ self.h_before,
            "b_beta": None if self.to_gate is None else self.to_gate.sum(dim=0),
        }
        if self.mixed_learns:
            # this takes as much memory as anything here, so what it does not need goes first
            del self.h_before, ready.scorer, ready.to_states, ready.of_state
            found["values"] = self._values(paid)
        return tuple(found[name] for name in Operands._fields)

    def _values(self, paid: Tensor) -> Tensor:
        """The gradient of the values."""
        to_mixed = self.to_inputs if self.to_mixed is None else self.to_mixed
        to_values = torch.empty_like(self.ready.values)
        for number, tokens in enumerate(self.packing.tokens_of_inputs()):
            torch.mm(paid[tokens].t(), to_mixed[tokens], out=to_values[number])
        return to_values

    def _context(self, paid: Tensor) -> Tensor:
        """The gradient of W_c; what was mixed is mixed again, for all steps at once."""
        mixed = torch.bmm(self.packing.to_inputs(paid), self.ready.values)
        return self.to_inputs.t() @ self.packing.from_inputs(mixed)

    def _inner(self) -> Tensor | None:
        """The gradient of U."""
        if self.ready.operands.U is None:
            return None
        multiplied = GatedStep.multiplied(self.seen.kept, self.h_before).to(self.ready.products)
        return self.to_inputs[:, -len(self.ready.operands.U) :].t() @ multiplied
