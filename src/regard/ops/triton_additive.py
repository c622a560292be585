"""Additive attention on a GPU, in one kernel forwards and two backwards.

    e_rn = Σ_a v_a tanh(q_ra + k_na)      α_r = softmax(e_r)      context_r = Σ_n α_rn value_n

Nothing is written but the context and the weights, which are a result; the backward pass computes the tanh again. Every
gradient is summed by one program in a fixed order, so that two passes give the same numbers. A program holds the scores
of one row, which limits the number of positions. tanh |x| = (1 − e^{−2|x|}) / (1 + e^{−2|x|}), which cannot overflow.

Importing this module needs Triton, which comes with PyTorch for GPUs; :func:`regard.fast.attention.fused` says
where it is used. The tests run it in Triton's interpreter, which needs no GPU.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 4096
"""Elements of keys or values that a program holds at a time, positions × columns."""
KEYS = 32
"""Positions whose gradients one program sums."""


def additive_attention(
    query: Tensor, keys: Tensor, v: Tensor, values: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Context [batch, rows, dim] and weights [batch, rows, position].

    Sums are taken in float32, or in float64 when the weights ``v`` are; so are the weights that are returned.

    Args:
        query: [batch, rows, key_dim], projected.
        keys: [batch, position, key_dim], projected.
        v: [key_dim].
        values: [batch, position, dim].
        mask: bool [batch, position], True on real positions, of which every input has one; None when all are real.
    """
    context, weights = _AdditiveAttention.apply(query, keys, v, values, mask)  # type: ignore[no-untyped-call]
    return context, weights


class _AdditiveAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, keys: Tensor, v: Tensor, values: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        query, keys, v, values = (operand.contiguous() for operand in (query, keys, v, values))
        (batch, rows, dim), (positions, width) = query.shape, values.shape[1:]
        context = values.new_empty(batch, rows, width)
        weights = v.new_empty(batch, rows, positions, dtype=_sums(v))
        mask_or_keys = keys if mask is None else mask.contiguous()
        _attend[(batch * rows,)](
            query, keys, v, values, mask_or_keys, context, weights, rows, positions, dim, width,
            masked=mask is not None, **_tile_of(positions),
        )  # fmt: skip
        ctx.save_for_backward(query, keys, v, values, weights)
        ctx.set_materialize_grads(False)
        return context, weights

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        query, keys, v, values, weights = ctx.saved_tensors
        (batch, rows, dim), (positions, width) = query.shape, values.shape[1:]
        grad_context, grad_weights = gradients
        grad_context = values.new_zeros(batch, rows, width) if grad_context is None else grad_context.contiguous()
        upstream = weights if grad_weights is None else grad_weights.contiguous()
        grad_scores, grad_query = torch.empty_like(weights), torch.empty_like(query)
        sizes = (rows, positions, dim, width)
        _query_gradient[(batch * rows,)](
            query, keys, v, values, weights, grad_context, upstream, grad_scores, grad_query, *sizes,
            has_upstream=grad_weights is not None, **_tile_of(positions),
        )  # fmt: skip
        blocks = triton.cdiv(positions, KEYS)
        grad_keys, grad_values = torch.empty_like(keys), torch.empty_like(values)
        grad_v = weights.new_empty(batch, blocks, dim)
        _key_gradients[(batch, blocks)](
            query, keys, v, weights, grad_context, grad_scores, grad_keys, grad_values, grad_v, *sizes,
            **_tile_of(KEYS),
        )  # fmt: skip
        return grad_query, grad_keys, grad_v.sum(dim=(0, 1)).to(v.dtype), grad_values, None


def _sums(v: Tensor) -> torch.dtype:
    return torch.float64 if v.dtype == torch.float64 else torch.float32


def _tile_of(positions: int) -> dict[str, int]:
    """The sizes of a tile; powers of two, as Triton wants them."""
    held = triton.next_power_of_2(positions)
    return {"held": held, "wide": min(64, max(16, TILE // held))}


@triton.jit
def _tanh(x: tl.tensor) -> tl.tensor:
    power = tl.exp(-2 * tl.abs(x))
    size = (1 - power) / (1 + power)
    return tl.where(x < 0, -size, size)


@triton.jit
def _tile(
    start: tl.tensor, n: tl.tensor, real: tl.tensor, column: tl.tensor, width: tl.tensor, sums: tl.tensor
) -> tl.tensor:
    """Rows ``n`` and some columns of a matrix of ``width`` columns; zeros outside."""
    inside = real[:, None] & (column < width)[None, :]
    return tl.load(start + n[:, None] * width + column[None, :], mask=inside, other=0.0).to(sums.dtype.element_ty)


@triton.jit
def _line(start: tl.tensor, column: tl.tensor, width: tl.tensor, sums: tl.tensor) -> tl.tensor:
    """Some columns of one row; zeros outside."""
    return tl.load(start + column, mask=column < width, other=0.0).to(sums.dtype.element_ty)


@triton.jit
def _attend(
    query: tl.tensor, keys: tl.tensor, v: tl.tensor, values: tl.tensor, mask: tl.tensor,
    context: tl.tensor, weights: tl.tensor,
    rows: tl.tensor, positions: tl.tensor, dim: tl.tensor, width: tl.tensor,
    masked: tl.constexpr, held: tl.constexpr, wide: tl.constexpr,
) -> None:  # fmt: skip
    """One row: its scores, its weights, its context."""
    row = tl.program_id(0).to(tl.int64)
    first = (row // rows) * positions
    n = tl.arange(0, held)
    real = n < positions
    scores = tl.zeros([held], dtype=weights.dtype.element_ty)
    for start in range(0, dim, wide):
        column = start + tl.arange(0, wide)
        tanh = _tanh(
            _line(query + row * dim, column, dim, weights)[None, :]
            + _tile(keys + first * dim, n, real, column, dim, weights)
        )
        scores += tl.sum(tanh * _line(v, column, dim, weights)[None, :], axis=1)
    valid = real
    if masked:
        valid = real & (tl.load(mask + first + n, mask=real, other=0) != 0)
    scores = tl.where(valid, scores, float("-inf"))
    powers = tl.exp(scores - tl.max(scores, axis=0))
    alpha = powers / tl.sum(powers, axis=0)
    tl.store(weights + row * positions + n, alpha, mask=real)
    for start in range(0, width, wide):
        column = start + tl.arange(0, wide)
        summed = tl.sum(alpha[:, None] * _tile(values + first * width, n, real, column, width, weights), axis=0)
        tl.store(context + row * width + column, summed.to(context.dtype.element_ty), mask=column < width)


@triton.jit
def _query_gradient(
    query: tl.tensor, keys: tl.tensor, v: tl.tensor, values: tl.tensor, weights: tl.tensor,
    grad_context: tl.tensor, grad_weights: tl.tensor, grad_scores: tl.tensor, grad_query: tl.tensor,
    rows: tl.tensor, positions: tl.tensor, dim: tl.tensor, width: tl.tensor,
    has_upstream: tl.constexpr, held: tl.constexpr, wide: tl.constexpr,
) -> None:  # fmt: skip
    """One row: the gradients of its scores and of its query."""
    row = tl.program_id(0).to(tl.int64)
    first = (row // rows) * positions
    n = tl.arange(0, held)
    real = n < positions
    grad_alpha = tl.zeros([held], dtype=weights.dtype.element_ty)
    if has_upstream:
        grad_alpha += tl.load(grad_weights + row * positions + n, mask=real, other=0.0)
    for start in range(0, width, wide):
        column = start + tl.arange(0, wide)
        upstream = _line(grad_context + row * width, column, width, weights)
        grad_alpha += tl.sum(_tile(values + first * width, n, real, column, width, weights) * upstream[None, :], axis=1)
    alpha = tl.load(weights + row * positions + n, mask=real, other=0.0)
    grad_score = alpha * (grad_alpha - tl.sum(alpha * grad_alpha, axis=0))
    tl.store(grad_scores + row * positions + n, grad_score, mask=real)
    for start in range(0, dim, wide):
        column = start + tl.arange(0, wide)
        tanh = _tanh(
            _line(query + row * dim, column, dim, weights)[None, :]
            + _tile(keys + first * dim, n, real, column, dim, weights)
        )
        slope = tl.sum(grad_score[:, None] * (1 - tanh * tanh), axis=0) * _line(v, column, dim, weights)
        tl.store(grad_query + row * dim + column, slope.to(grad_query.dtype.element_ty), mask=column < dim)


@triton.jit
def _key_gradients(
    query: tl.tensor, keys: tl.tensor, v: tl.tensor, weights: tl.tensor,
    grad_context: tl.tensor, grad_scores: tl.tensor,
    grad_keys: tl.tensor, grad_values: tl.tensor, grad_v: tl.tensor,
    rows: tl.tensor, positions: tl.tensor, dim: tl.tensor, width: tl.tensor,
    held: tl.constexpr, wide: tl.constexpr,
) -> None:  # fmt: skip
    """Some positions of one input: the gradients of their keys and values, and their part in that of v."""
    batch, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    n = block * held + tl.arange(0, held)
    real = n < positions
    for start in range(0, dim, wide):
        column = start + tl.arange(0, wide)
        key = _tile(keys + batch * positions * dim, n, real, column, dim, weights)
        grad_key = tl.zeros([held, wide], dtype=weights.dtype.element_ty)
        grad_v_part = tl.zeros([wide], dtype=weights.dtype.element_ty)
        for row in range(0, rows):
            index = batch * rows + row
            tanh = _tanh(_line(query + index * dim, column, dim, weights)[None, :] + key)
            grad_score = tl.load(grad_scores + index * positions + n, mask=real, other=0.0)[:, None]
            grad_key += grad_score * (1 - tanh * tanh)
            grad_v_part += tl.sum(grad_score * tanh, axis=0)
        grad_key *= _line(v, column, dim, weights)[None, :]
        inside = real[:, None] & (column < dim)[None, :]
        target = grad_keys + (batch * positions + n)[:, None] * dim + column[None, :]
        tl.store(target, grad_key.to(grad_keys.dtype.element_ty), mask=inside)
        tl.store(grad_v + (batch * tl.num_programs(1) + block) * dim + column, grad_v_part, mask=column < dim)
    for start in range(0, width, wide):
        column = start + tl.arange(0, wide)
        grad_value = tl.zeros([held, wide], dtype=weights.dtype.element_ty)
        for row in range(0, rows):
            index = batch * rows + row
            alpha = tl.load(weights + index * positions + n, mask=real, other=0.0)
            grad_value += alpha[:, None] * _line(grad_context + index * width, column, width, weights)[None, :]
        inside = real[:, None] & (column < width)[None, :]
        target = grad_values + (batch * positions + n)[:, None] * width + column[None, :]
        tl.store(target, grad_value.to(grad_values.dtype.element_ty), mask=inside)
