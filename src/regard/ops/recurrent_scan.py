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

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from regard.ops.autocast import scan_dtypes
from regard.ops.packing import TimeStep
from regard.ops.scan_backward import BackwardPass
from regard.ops.scan_operands import Operands, PreparedAttention, PreparedScan, SavedActivations, Scan

if TYPE_CHECKING:
    from jaxtyping import Float


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
            saved = _forward(PreparedScan(spec, operands, dtypes))
        needed = operands._replace(inputs=saved.h)  # the inputs themselves are not needed again
        ctx.save_for_backward(*needed, *saved)
        ctx.spec, ctx.dtypes = spec, dtypes
        ctx.set_materialize_grads(False)
        return saved.h, saved.weights, saved.beta

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        count = len(Operands._fields)
        operands, saved = Operands(*ctx.saved_tensors[:count]), SavedActivations(*ctx.saved_tensors[count:])
        with torch.autocast(operands.h.device.type, enabled=False):
            prepared = PreparedScan(ctx.spec, operands, ctx.dtypes)
            wanted = Operands(*ctx.needs_input_grad[1:])
            return None, *BackwardPass(prepared, saved, gradients, values_need_grad=bool(wanted.values)).run()


def _forward(prepared: PreparedScan) -> SavedActivations:
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


def _allocate(prepared: PreparedScan) -> SavedActivations:
    tokens, hidden, operands = len(prepared.packing), prepared.first.h.shape[1], prepared.operands
    new, keys = prepared.new, operands.keys
    return SavedActivations(
        h=new(tokens, hidden),
        weights=None if keys is None else new(tokens, keys.shape[1]),
        beta=None if operands.w_beta is None else new(tokens, 1),
        gates=new(tokens, prepared.cell.num_saved * hidden),
        c=None if operands.c is None else new(tokens, hidden),
        query=None if operands.W_q is None else new(tokens, len(operands.W_q)),
    )


def _attend(attention: PreparedAttention, saved: SavedActivations, step: TimeStep, h: Tensor, query: Tensor) -> Tensor:
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
    prepared: PreparedScan, attention: PreparedAttention, step: TimeStep, gated_weights: Tensor, out: Tensor
) -> None:
    """All that enters the gates of one step but the state, [rows, gates]."""
    inputs = prepared.operands.inputs[step.tokens]
    if attention.W_c is None:
        attention.weighted_sum.forward(gated_weights, step, start=inputs, out=out)
        return
    context = prepared.new(len(gated_weights), attention.values.shape[-1])
    attention.weighted_sum.forward(gated_weights, step, out=context)
    torch.add(attention.from_context(context), inputs, out=out)
