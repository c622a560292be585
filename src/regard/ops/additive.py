"""Additive scores without the ``rows × positions × dim`` tanh in memory.

    e_rn = Σ_a v_a tanh(q_ra + k_na)

The plain form writes the whole tanh to memory and keeps it for the backward pass, at every step of a decoder. Here a
block of rows is scored at a time, small enough to stay in the processor's cache, and the backward pass computes the
tanh again instead of reading it back.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor

from regard.ops import steps_plainly, use_reference
from regard.ops.cpu.compiled import current_loops
from regard.ops.packing import Rows

BLOCK_NUMBERS = 1 << 19
"""How many numbers of the tanh are alive at once: 2 MiB in float32, in the cache, and few calls."""

MOST_POSITIONS = 1024
"""How many a GPU kernel can hold the scores of."""

Block = tuple[slice, slice]
"""Some inputs and some of their rows."""


def additive_scores(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """Scores [batch, rows, position] of queries [batch, rows, dim] and keys [batch, position, dim] under v [dim]."""
    if steps_plainly(query.device):
        return additive_scores_reference(query, keys, v)
    with torch.autocast(query.device.type, enabled=False):
        operands = [operand if operand.dtype == torch.float64 else operand.float() for operand in (query, keys, v)]
        scores: Tensor = _AdditiveScores.apply(*operands)  # type: ignore[no-untyped-call]
    return scores


def additive_scores_reference(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """The formula as it stands."""
    return torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1)) @ v


def triton_takes(query: Tensor, keys: Tensor) -> bool:
    """Whether :mod:`regard.ops.triton_additive` is to look with ``query`` at ``keys`` [batch, position, dim]."""
    return query.is_cuda and 0 < keys.shape[1] <= MOST_POSITIONS and not use_reference() and _has_triton()


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


class AdditiveScorer:
    """Scores many queries against the same keys, forwards and backwards.

    tanh(q + k) = 2 σ(2q + 2k) − 1, and σ(2q + 2k) = 1 / (1 + e^{−2q} e^{−2k}). The powers of the keys are taken once
    and those of a query once for all positions; what is left to do for every number is a product and a division, which
    cost a third of σ and a twelfth of tanh. Where the powers could leave the range of the numbers σ itself is taken.
    Compiled loops (:mod:`regard.ops.cpu.compiled`) sum such terms without writing them anywhere.

    Args:
        keys: [batch, position, dim].
        v: [dim].
        once: only one call is to come, for which the powers of the keys pay in compiled loops alone.
    """

    def __init__(self, keys: Tensor, v: Tensor, *, once: bool = False) -> None:
        self._v = v
        self._twice_keys = (keys * 2).contiguous()
        self._loops = current_loops(keys.device, keys.dtype)
        no_powers = not keys.numel() or (once and self._loops is None)
        self._room = -math.inf if no_powers else _room(self._twice_keys)
        self._powers = torch.exp(-self._twice_keys) if self._room > 0 else self._twice_keys
        self._one = keys.new_ones(1, 1, 1, 1)
        self._sums: tuple[Tensor, Tensor] | None = None

    def scores(self, query: Tensor, rows: Rows) -> Tensor:
        """[rows, position], of queries [rows, dim] to the keys of their own inputs."""
        query = (query * 2).contiguous()
        if self._loops is not None and self._has_room(query):
            scores = query.new_empty(len(query), self._powers.shape[1])
            operands = (torch.exp(-query), self._powers, self._v * 2, scores, rows.bounds)
            self._loops.run("additive_scores", *operands, rows.inputs, *self._powers.shape[1:])
            return scores.sub_(self._v.sum())
        query = rows.to_block(query)
        scores = query.new_empty(*query.shape[:2], self._twice_keys.shape[1])
        for block, sigmoid in self._sigmoids(query):
            torch.matmul(sigmoid, self._v, out=scores[block])
        return rows.from_block(scores.mul_(2).sub_(self._v.sum()))

    def backward(self, query: Tensor, gradient: Tensor, rows: Rows) -> Tensor:
        """The gradient of queries from that of their scores; those of keys and v are summed over all calls."""
        if self._sums is None:
            self._sums = (torch.zeros_like(self._twice_keys), torch.zeros_like(self._v))
        to_keys, to_v = self._sums
        query = (query * 2).contiguous()
        if self._loops is not None and self._has_room(query):
            to_query, paid = torch.empty_like(query), torch.empty_like(query)
            operands = (torch.exp(-query), self._powers, gradient.contiguous(), to_query, paid, to_keys, rows.bounds)
            self._loops.run("additive_gradients", *operands, rows.inputs, *self._powers.shape[1:])
        else:
            to_query, paid = self._block_gradients(rows.to_block(query), rows.to_block(gradient), to_keys)
            to_query, paid = rows.from_block(to_query), paid.flatten(0, 1)
        # d tanh = 4 σ (1 − σ); v and the 4 are constant over positions and rows and are applied after the sums
        to_v.add_(paid.sum(dim=0), alpha=2).sub_(gradient.sum())
        return to_query.mul_(self._v * 4)

    def _block_gradients(self, query: Tensor, gradient: Tensor, to_keys: Tensor) -> tuple[Tensor, Tensor]:
        """Σ_n g σ (1 − σ) and Σ_n g σ, of twice the queries; Σ_r g σ (1 − σ) is added to ``to_keys``."""
        to_query, paid = torch.empty_like(query), torch.empty_like(query)
        for (inputs, rows), sigmoid in self._sigmoids(query):
            share, flat = gradient[inputs, rows], sigmoid.flatten(0, 1)
            each_row = share.reshape(len(flat), 1, -1)
            torch.bmm(each_row, flat, out=paid[inputs, rows].view(len(flat), 1, -1))
            slope = torch.addcmul(sigmoid, sigmoid, sigmoid, value=-1, out=sigmoid)
            torch.bmm(each_row, flat, out=to_query[inputs, rows].view(len(flat), 1, -1))
            own = to_keys[inputs]
            for row in range(slope.shape[1]):
                own.addcmul_(slope[:, row], share[:, row].unsqueeze(-1))
        return to_query, paid

    def gradients(self) -> tuple[Tensor, Tensor]:
        """Those of keys and v, of all calls of :meth:`backward` together."""
        assert self._sums is not None, "backward comes first"
        return self._sums[0] * (self._v * 4), self._sums[1]

    def _has_room(self, query: Tensor) -> bool:
        """Whether the powers of twice the queries may be taken."""
        return query.numel() > 0 and float(query.abs().amax()) < self._room

    def _sigmoids(self, query: Tensor) -> Iterator[tuple[Block, Tensor]]:
        """σ(2q + 2k), [inputs, rows, position, dim], of twice the queries; each block overwrites the last."""
        small = self._has_room(query)
        left, right = (torch.exp(-query), self._powers) if small else (query, self._twice_keys)
        buffer: Tensor | None = None
        for inputs, rows in _blocks(query, positions=right.shape[1]):
            one, other = left[inputs, rows].unsqueeze(2), right[inputs].unsqueeze(1)
            shape = (*one.shape[:2], *right.shape[1:])
            buffer = query.new_empty(math.prod(shape)) if buffer is None else buffer
            out = buffer[: math.prod(shape)].view(shape)
            if small:
                torch.addcmul(self._one, one, other, out=out).reciprocal_()
            else:
                torch.add(one, other, out=out).sigmoid_()
            yield (inputs, rows), out


class _AdditiveScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(query, keys, v)
        rows = Rows.full(*query.shape[:2])
        scores = AdditiveScorer(keys, v, once=True).scores(query.flatten(0, 1), rows)
        return scores.view(*query.shape[:2], -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, keys, v = ctx.saved_tensors
        with torch.autocast(query.device.type, enabled=False):
            scorer, rows = AdditiveScorer(keys, v, once=True), Rows.full(*query.shape[:2])
            to_query = scorer.backward(query.flatten(0, 1), gradients[0].flatten(0, 1), rows)
        return (to_query.view_as(query), *scorer.gradients())


def _room(exponents: Tensor) -> float:
    """How large other exponents may be for the product of both powers to stay well inside the range of the numbers."""
    return 0.95 * math.log(torch.finfo(exponents.dtype).max) - float(exponents.abs().amax())


def _blocks(query: Tensor, *, positions: int) -> list[Block]:
    """Blocks of inputs, all of equal size but the last; one input too large for a block is cut by rows."""
    batch, rows, dim = query.shape
    row = max(1, positions * dim)
    num_inputs = max(1, BLOCK_NUMBERS // max(1, rows * row))
    num_rows = max(1, min(rows, BLOCK_NUMBERS // row)) if num_inputs == 1 else max(1, rows)
    return [
        (slice(first, min(first + num_inputs, batch)), slice(start, min(start + num_rows, rows)))
        for first in range(0, batch, num_inputs)
        for start in range(0, rows, num_rows)
    ]
