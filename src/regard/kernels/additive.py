"""Additive scores without the ``rows × positions × dim`` tanh in memory.

    e_rn = Σ_a v_a tanh(q_ra + k_na)

The plain form writes the whole tanh to memory and keeps it for the backward pass, at every step of a decoder. Here a
block of inputs is scored at a time, small enough to stay in the processor's cache, and the backward pass computes the
tanh again instead of reading it back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from regard.kernels import use_reference

BLOCK_NUMBERS = 1 << 18
"""How many numbers of the tanh are alive at once: 1 MiB in float32, which fits in the second-level cache."""


def additive_scores(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """Scores [batch, rows, position] of queries [batch, rows, dim] against keys [batch, position, dim] under v [dim]."""
    if use_reference():
        return additive_scores_reference(query, keys, v)
    scores: Tensor = _AdditiveScores.apply(query, keys, v)
    return scores


def additive_scores_reference(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """The formula as it stands."""
    return torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1)) @ v


class _AdditiveScores(torch.autograd.Function):
    """tanh x = 2 σ(2x) − 1, because PyTorch computes σ about seven times faster than tanh on a processor."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
        twice_query, twice_keys = query * 2, keys * 2
        ctx.save_for_backward(twice_query, twice_keys, v)
        scores = query.new_empty(query.shape[0], query.shape[1], keys.shape[1])
        for block in _blocks(query, keys):
            torch.matmul(_sigmoid(twice_query[block], twice_keys[block]), v, out=scores[block])
        return scores.mul_(2).sub_(v.sum())

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (gradient,) = gradients
        query, keys, v = ctx.saved_tensors
        to_query, to_keys, to_v = torch.empty_like(query), torch.empty_like(keys), torch.zeros_like(v)
        for block in _blocks(query, keys):
            sigmoid = _sigmoid(query[block], keys[block])
            share = gradient[block]
            to_v += share.reshape(-1) @ sigmoid.flatten(0, 2)
            # d tanh = 4 σ (1 − σ); v and the 4 are constant over positions and rows and are applied after the sums
            slope = torch.addcmul(sigmoid, sigmoid, sigmoid, value=-1).mul_(share.unsqueeze(-1))
            torch.sum(slope, dim=2, out=to_query[block])
            torch.sum(slope, dim=1, out=to_keys[block])
        four_v = v * 4
        return to_query.mul_(four_v), to_keys.mul_(four_v), to_v.mul_(2).sub_(gradient.sum())


def _sigmoid(query: Tensor, keys: Tensor) -> Tensor:
    return (query.unsqueeze(2) + keys.unsqueeze(1)).sigmoid_()


def _blocks(query: Tensor, keys: Tensor) -> list[slice]:
    batch, rows, dim = query.shape
    size = max(1, BLOCK_NUMBERS // max(1, rows * keys.shape[1] * dim))
    return [slice(first, min(first + size, batch)) for first in range(0, batch, size)]
