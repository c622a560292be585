"""The backward pass of :mod:`regard.ops.recurrent_scan`."""

from __future__ import annotations

import torch
from torch import Tensor

from regard.ops.cells import CellState, GatedStep
from regard.ops.packing import TimeStep
from regard.ops.scan_operands import Operands, PreparedAttention, PreparedScan, SavedActivations


class BackwardPass:
    """The pass back through time.

    Gradients of what is multiplied with a matrix are written token by token, and the gradient of the matrix is one
    product at the end. ``values_need_grad`` is False for cached features.
    """

    def __init__(
        self,
        prepared: PreparedScan,
        saved: SavedActivations,
        gradients: tuple[Tensor | None, ...],
        *,
        values_need_grad: bool,
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

    def _attention(self, attention: PreparedAttention, step: TimeStep, h: Tensor, grad_inputs: Tensor) -> Tensor | None:
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

    def _softmax(self, attention: PreparedAttention, step: TimeStep, grad_context: Tensor) -> Tensor:
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

    def _attention_operands(self, found: Operands, attention: PreparedAttention) -> Operands:
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

    def _values(self, attention: PreparedAttention, gated_weights: Tensor) -> Tensor:
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
