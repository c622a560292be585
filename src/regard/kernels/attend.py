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

from regard.kernels.additive import AdditiveScorer
from regard.kernels.packing import Packing, WalkStep
from regard.kernels.precision import Precision, current_precision
from regard.kernels.products import Product, multiplier
from regard.kernels.recurrent import CellKind, GatedStep, Kept, build_step
from regard.kernels.scores import DotScorer, Scorer


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
        h = torch.cat([look.h for look in seen])
        weights = torch.cat([look.weights for look in seen])
        beta = None if operands.w_beta is None else torch.cat([look.beta for look in seen if look.beta is not None])
        kept = [tensor for look in seen for tensor in (*look.kept, look.query)]
        needed = operands._replace(words=h)  # what the words add is not needed again
        ctx.save_for_backward(h, weights, beta, *needed, *kept)
        ctx.walk, ctx.precision = walk, precision
        ctx.set_materialize_grads(False)
        return h, weights, beta

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        h, weights, beta, *tensors = ctx.saved_tensors
        count = len(Operands._fields)
        operands, kept = Operands(*tensors[:count]), tensors[count:]
        with torch.autocast(operands.h.device.type, enabled=False):
            ready = _Ready(ctx.walk, operands, ctx.precision)
            seen = _Outputs(
                h, weights, beta, [Kept(*each) for each in zip(kept[::3], kept[1::3], strict=True)], kept[2::3]
            )
            wanted = Operands(*ctx.needs_input_grad[1:])
            return None, *_Backward(ready, seen, gradients, mixed_learns=bool(wanted.values)).run()


class _Ready:
    """The operands of one walk in the precision that they are used in, and what is computed from them once."""

    def __init__(self, walk: Walk, operands: Operands, precision: Precision) -> None:
        self.walk, self.operands = walk, operands
        self.products, self.sums = precision
        self.cell = build_step(walk.cell, operands.U, self._multiplier)
        self.h, self.c = operands.h.to(self.sums), None if operands.c is None else operands.c.to(self.sums)
        self.of_state = operands.of_state if operands.W_q is None else torch.cat([operands.of_state, operands.W_q])
        self.num_gates = len(operands.of_state)
        self.values = operands.values.to(self.products)
        self.W_c = operands.W_c
        self.w_beta = None if operands.w_beta is None else operands.w_beta.to(self.sums)
        keys, v = operands.keys.to(self.sums), operands.v
        self.scorer: Scorer = DotScorer(keys, walk.scale) if v is None else AdditiveScorer(keys, v.to(self.sums))

    @cached_property
    def of_states(self) -> Product:
        """Gates and queries [rows, gates + key_dim] of states."""
        return self._multiplier(self.of_state)

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

    def from_block_product(self, step: WalkStep, left: Tensor, right: Tensor) -> Tensor:
        """The rows of a step [rows, ·], each multiplied with the matrix [·, ·] of its own input."""
        block = torch.bmm(step.to_block(left.to(self.products)), right[: step.inputs])
        return step.from_block(block).to(self.sums)


class _Look(NamedTuple):
    """What one step finds."""

    h: Tensor
    weights: Tensor
    beta: Tensor | None
    kept: Kept
    query: Tensor


def _walk_forward(ready: _Ready) -> list[_Look]:
    h, c = ready.h, ready.c
    looks = []
    for step in ready.walk.packing.steps:
        h, c = step.keep(h), None if c is None else step.keep(c)
        product = ready.of_states(h)
        query = h if ready.operands.W_q is None else product[:, ready.num_gates :].contiguous()
        weights = _weights(ready, step, query)
        beta = None
        mixed = ready.from_block_product(step, weights, ready.values)
        if ready.w_beta is not None and ready.operands.b_beta is not None:
            beta = torch.addmm(ready.operands.b_beta.to(ready.sums), h, ready.w_beta.t()).sigmoid_()
            mixed.mul_(beta)
        inputs = mixed if ready.W_c is None else ready.of_mixed(mixed)
        inputs.add_(ready.operands.words[step.tokens])
        recurrent = product[:, : ready.num_gates]
        if ready.operands.bias is not None:
            recurrent += ready.operands.bias
        h, kept = ready.cell.forward(inputs, recurrent, h, c)
        c = kept.c
        looks.append(_Look(h, weights, beta, kept, query))
    return looks


def _weights(ready: _Ready, step: WalkStep, query: Tensor) -> Tensor:
    """α, [rows, position]."""
    scores = ready.scorer.scores(step.to_block(query))
    if ready.walk.mask is not None:
        scores.masked_fill_(~ready.walk.mask[: step.inputs].unsqueeze(1), float("-inf"))
    return torch.softmax(step.from_block(scores), dim=-1)


class _Outputs(NamedTuple):
    """What a walk has found: h, α and β of all tokens; of each step, what the cell kept and the query."""

    h: Tensor
    weights: Tensor
    beta: Tensor | None
    kept: list[Kept]
    queries: list[Tensor]


class _Backward:
    """The walk back. Gradients of what is multiplied with a matrix are written token by token and multiplied once.

    ``mixed_learns`` says whether the gradient of the values is wanted: that of cached features is not.
    """

    def __init__(
        self, ready: _Ready, seen: _Outputs, gradients: tuple[Tensor | None, ...], *, mixed_learns: bool
    ) -> None:
        self.ready, self.seen, self.mixed_learns = ready, seen, mixed_learns
        self.to_h, self.to_weights, self.to_beta = gradients
        self.packing = ready.walk.packing
        tokens, gates = len(self.packing), ready.num_gates
        self.h_before = torch.cat([ready.h, seen.h]).index_select(0, self.packing.before())
        new = ready.values.new_empty
        self.to_products = new(tokens, len(ready.of_state))  # with the state: the gates and the query
        width = ready.values.shape[-1] if ready.W_c is None else len(ready.W_c)
        self.to_inputs = self.to_products[:, :gates] if ready.walk.cell == "lstm" else new(tokens, width)
        self.to_mixed = self.to_inputs if ready.W_c is None else new(tokens, ready.values.shape[-1])  # times β
        self.to_gate = None if seen.beta is None else torch.empty_like(seen.beta)  # before its σ

    def run(self) -> tuple[Tensor | None, ...]:
        """The gradients of all operands, in their order."""
        last = self.packing.steps[-1].tokens
        later_h, later_c = torch.zeros_like(self.h_before[last]), None
        for number, step in reversed(list(enumerate(self.packing.steps))):
            c = self.ready.c if number == 0 else self.seen.kept[number - 1].c
            rows_before = len(self.ready.h) if number == 0 else len(self.seen.queries[number - 1])
            c = None if c is None else step.keep(c)
            later_h, later_c = self._step(number, step, c, later_h, later_c)
            later_h = step.give_back(later_h, rows_before)
            later_c = None if later_c is None else step.give_back(later_c, rows_before)
        return self._operands(later_h, later_c)

    def _step(
        self, number: int, step: WalkStep, c: Tensor | None, later_h: Tensor, later_c: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The gradients of h and c before a step, from those after it."""
        ready, tokens, h = self.ready, step.tokens, self.h_before[step.tokens]
        to_h = later_h if self.to_h is None else later_h + self.to_h[tokens]
        gradient = ready.cell.backward(self.seen.kept[number], h, c, to_h, later_c)
        self.to_products[tokens, : ready.num_gates] = gradient.recurrent
        if gradient.inputs is not gradient.recurrent:
            self.to_inputs[tokens] = gradient.inputs
        if ready.W_c is not None:
            self.to_mixed[tokens] = ready.to_mixed(self.to_inputs[tokens])
        to_scores = self._softmax(step)
        to_query = step.from_block(
            ready.scorer.backward(step.to_block(self.seen.queries[number]), step.to_block(to_scores))
        )
        if ready.operands.W_q is not None:
            self.to_products[tokens, ready.num_gates :] = to_query
        before = ready.to_states(self.to_products[tokens]).to(ready.sums)
        if ready.operands.W_q is None:
            before += to_query
        if gradient.h is not None:
            before += gradient.h
        if self.to_gate is not None and ready.w_beta is not None:
            before.addmm_(self.to_gate[tokens], ready.w_beta)
        return before, gradient.c

    def _softmax(self, step: WalkStep) -> Tensor:
        """The gradient of the scores of a step, [rows, position]; that of β on the way."""
        tokens = step.tokens
        weights = self.seen.weights[tokens]
        to_weights = self.ready.from_block_product(step, self.to_mixed[tokens], self.ready.values.transpose(1, 2))
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

    def _operands(self, to_h: Tensor, to_c: Tensor | None) -> tuple[Tensor | None, ...]:
        """All gradients; those of matrices as one product over all tokens."""
        ready, seen, gates = self.ready, self.seen, self.ready.num_gates
        to_matrices = (self.to_products.t() @ self.h_before.to(ready.products)).to(ready.sums)
        to_keys, to_v = ready.scorer.gradients()
        paid = seen.weights if seen.beta is None else seen.weights * seen.beta
        paid = paid.to(ready.products)
        found: dict[str, Tensor | None] = {
            "words": self.to_inputs,
            "h": to_h,
            "c": to_c,
            "keys": to_keys,
            "values": self._values(paid) if self.mixed_learns else None,
            "of_state": to_matrices[:gates],
            "bias": None if ready.operands.bias is None else self.to_products[:, :gates].sum(dim=0),
            "U": self._inner(),
            "W_c": None if ready.W_c is None else self._context(paid),
            "W_q": None if ready.operands.W_q is None else to_matrices[gates:],
            "v": to_v,
            "w_beta": None if self.to_gate is None else self.to_gate.t() @ self.h_before,
            "b_beta": None if self.to_gate is None else self.to_gate.sum(dim=0),
        }
        return tuple(found[name] for name in Operands._fields)

    def _values(self, paid: Tensor) -> Tensor:
        """The gradient of the values."""
        to_values = torch.empty_like(self.ready.values)
        for number, tokens in enumerate(self.packing.tokens_of_inputs()):
            torch.mm(paid[tokens].t(), self.to_mixed[tokens], out=to_values[number])
        return to_values

    def _context(self, paid: Tensor) -> Tensor:
        """The gradient of W_c; what was mixed is mixed again, for all steps at once."""
        mixed = torch.bmm(self.packing.to_inputs(paid), self.ready.values)
        return self.to_inputs.t() @ self.packing.from_inputs(mixed)

    def _inner(self) -> Tensor | None:
        """The gradient of U."""
        if self.ready.operands.U is None:
            return None
        gates = torch.cat([kept.gates for kept in self.seen.kept])
        multiplied = GatedStep.multiplied(gates, self.h_before).to(self.ready.products)
        return self.to_inputs[:, -len(self.ready.operands.U) :].t() @ multiplied
