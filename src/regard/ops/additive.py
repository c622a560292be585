"""Additive scores without the ``rows × positions × dim`` tanh in memory, in training and in search.

    e_rn = v · tanh(q_r + k_n)

The plain form writes the whole tanh to memory and keeps it for the backward pass, at every step of a decoder. Here a
block of rows is scored at a time, small enough to stay in the processor's cache, and the backward pass computes the
tanh again instead of reading it back.

    tanh(q + k) = 2 σ(2q + 2k) − 1        σ(2q + 2k) = 1 / (1 + e^{−2q} e^{−2k})

The exponentials of the keys are computed once per input and those of a query once for all positions; what is left for
each element is a product and a division, a third of the time of σ and a twelfth of tanh. In a search the constant
−Σ_a v_a, which all positions share, is left out, since a softmax follows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from regard.ops.cpu.compiled import current_ops
from regard.ops.packing import GroupedRows

if TYPE_CHECKING:
    from jaxtyping import Float

BLOCK_ELEMENTS = 1 << 19
"""Elements of the tanh that exist at once in training: 2 MiB in float32, in the cache, and few calls."""
SEARCH_BLOCK_ELEMENTS = 1 << 17
"""The same in a search: 512 KiB in float32, which a core's own cache holds with the keys."""

Block = tuple[slice, slice]
"""Some inputs and some of their rows."""


def additive_scores(
    query: Float[Tensor, "batch rows dim"], keys: Float[Tensor, "batch position dim"], v: Float[Tensor, " dim"]
) -> Float[Tensor, "batch rows position"]:
    """Scores [batch, rows, position] of queries [batch, rows, dim] and keys [batch, position, dim] under v [dim]."""
    with torch.autocast(query.device.type, enabled=False):
        operands = [operand if operand.dtype == torch.float64 else operand.float() for operand in (query, keys, v)]
        scores: Tensor = _AdditiveScores.apply(*operands)  # type: ignore[no-untyped-call]
    return scores


class AdditiveScorer:
    """Scores many queries against the same keys, forwards and backwards.

    Where the exponentials could overflow σ itself is computed. A compiled operation (:mod:`regard.ops.cpu.compiled`)
    sums the terms without writing them anywhere.

    Args:
        keys: [batch, position, dim].
        v: [dim].
        once: only one call is to come, for which the exponentials of the keys pay in the compiled operation alone.
    """

    def __init__(self, keys: Tensor, v: Tensor, *, once: bool = False) -> None:
        self._v = v
        self._twice_keys = (keys * 2).contiguous()
        self._compiled = current_ops(keys.device, keys.dtype)
        no_exponentials = not keys.numel() or (once and self._compiled is None)
        self._query_limit = -math.inf if no_exponentials else _query_limit(self._twice_keys)
        self._exp_keys = torch.exp(-self._twice_keys) if self._query_limit > 0 else self._twice_keys
        self._one = keys.new_ones(1, 1, 1, 1)
        self._sums: tuple[Tensor, Tensor] | None = None

    def scores(self, query: Float[Tensor, "rows dim"], rows: GroupedRows) -> Float[Tensor, "rows position"]:
        """[rows, position], of queries [rows, dim] to the keys of their own inputs."""
        query = (query * 2).contiguous()
        if self._compiled is not None and self._is_within_limit(query):
            scores = query.new_empty(len(query), self._exp_keys.shape[1])
            operands = (torch.exp(-query), self._exp_keys, self._v * 2, scores, rows.offsets)
            self._compiled.run("additive_scores", *operands, rows.num_inputs, *self._exp_keys.shape[1:])
            return scores.sub_(self._v.sum())
        query = rows.to_block(query)
        scores = query.new_empty(*query.shape[:2], self._twice_keys.shape[1])
        for block, sigmoid in self._sigmoids(query):
            torch.matmul(sigmoid, self._v, out=scores[block])
        return rows.from_block(scores.mul_(2).sub_(self._v.sum()))

    def backward(
        self, query: Float[Tensor, "rows dim"], gradient: Float[Tensor, "rows position"], rows: GroupedRows
    ) -> Float[Tensor, "rows dim"]:
        """The gradient of queries from that of their scores; those of keys and v are summed over all calls."""
        if self._sums is None:
            self._sums = (torch.zeros_like(self._twice_keys), torch.zeros_like(self._v))
        grad_keys, grad_v = self._sums
        query = (query * 2).contiguous()
        if self._compiled is not None and self._is_within_limit(query):
            grad_query, weighted_sigmoid = torch.empty_like(query), torch.empty_like(query)
            gradients = (gradient.contiguous(), grad_query, weighted_sigmoid, grad_keys)
            operands = (torch.exp(-query), self._exp_keys, *gradients, rows.offsets)
            self._compiled.run("additive_gradients", *operands, rows.num_inputs, *self._exp_keys.shape[1:])
        else:
            block = self._block_gradients(rows.to_block(query), rows.to_block(gradient), grad_keys)
            grad_query, weighted_sigmoid = rows.from_block(block[0]), block[1].flatten(0, 1)
        # d tanh = 4 σ (1 − σ); v and the 4 are constant over positions and rows and are applied after the sums
        grad_v.add_(weighted_sigmoid.sum(dim=0), alpha=2).sub_(gradient.sum())
        return grad_query.mul_(self._v * 4)

    def _block_gradients(self, query: Tensor, gradient: Tensor, grad_keys: Tensor) -> tuple[Tensor, Tensor]:
        """Σ_n g σ (1 − σ) and Σ_n g σ, of twice the queries; Σ_r g σ (1 − σ) is added to ``grad_keys``."""
        grad_query, weighted_sigmoid = torch.empty_like(query), torch.empty_like(query)
        for (inputs, rows), sigmoid in self._sigmoids(query):
            upstream, flat = gradient[inputs, rows], sigmoid.flatten(0, 1)
            each_row = upstream.reshape(len(flat), 1, -1)
            # 1. Σ_n g σ, for the gradient of v
            torch.bmm(each_row, flat, out=weighted_sigmoid[inputs, rows].view(len(flat), 1, -1))
            # 2. σ (1 − σ), written over σ; Σ_n of it for the queries
            derivative = torch.addcmul(sigmoid, sigmoid, sigmoid, value=-1, out=sigmoid)
            torch.bmm(each_row, flat, out=grad_query[inputs, rows].view(len(flat), 1, -1))
            # 3. Σ_r of it for the keys
            own = grad_keys[inputs]
            for row in range(derivative.shape[1]):
                own.addcmul_(derivative[:, row], upstream[:, row].unsqueeze(-1))
        return grad_query, weighted_sigmoid

    def gradients(self) -> tuple[Tensor, Tensor]:
        """Those of keys and v, of all calls of :meth:`backward` together."""
        assert self._sums is not None, "backward comes first"
        return self._sums[0] * (self._v * 4), self._sums[1]

    def _is_within_limit(self, query: Tensor) -> bool:
        """Whether the exponentials of twice the queries may be computed."""
        return query.numel() > 0 and float(query.abs().amax()) < self._query_limit

    def _sigmoids(self, query: Tensor) -> Iterator[tuple[Block, Tensor]]:
        """σ(2q + 2k), [inputs, rows, position, dim], of twice the queries; each block overwrites the last."""
        exponentials = self._is_within_limit(query)
        left, right = (torch.exp(-query), self._exp_keys) if exponentials else (query, self._twice_keys)
        buffer: Tensor | None = None
        for inputs, rows in _blocks(query, positions=right.shape[1]):
            one, other = left[inputs, rows].unsqueeze(2), right[inputs].unsqueeze(1)
            shape = (*one.shape[:2], *right.shape[1:])
            buffer = query.new_empty(math.prod(shape)) if buffer is None else buffer
            out = buffer[: math.prod(shape)].view(shape)
            if exponentials:
                torch.addcmul(self._one, one, other, out=out).reciprocal_()
            else:
                torch.add(one, other, out=out).sigmoid_()
            yield (inputs, rows), out


class _AdditiveScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(query, keys, v)
        rows = GroupedRows.full(*query.shape[:2])
        scores = AdditiveScorer(keys, v, once=True).scores(query.flatten(0, 1), rows)
        return scores.view(*query.shape[:2], -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, keys, v = ctx.saved_tensors
        with torch.autocast(query.device.type, enabled=False):
            scorer, rows = AdditiveScorer(keys, v, once=True), GroupedRows.full(*query.shape[:2])
            grad_query = scorer.backward(query.flatten(0, 1), gradients[0].flatten(0, 1), rows)
        return (grad_query.view_as(query), *scorer.gradients())


def exp_keys(keys: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """e^{−2k} of keys of any shape, in float32 at least."""
    return (_at_least_float32(keys) * -2).exp_()


def search_query_limit(keys: Tensor) -> float:
    """How large an element of a query may be for :func:`search_scores`; 0 or less where no query would do."""
    if not keys.numel():
        return math.inf
    least, most = keys.aminmax()
    return 0.95 * math.log(torch.finfo(_at_least_float32(keys).dtype).max) / 2 - max(float(most), -float(least))


def _at_least_float32(tensor: Tensor) -> Tensor:
    """Half precision, which mixed precision may give, widened."""
    return tensor.float() if tensor.element_size() < 4 else tensor


def search_scores(
    query: Float[Tensor, "rows dim"],
    exponentials: Float[Tensor, "batch position dim"],
    v: Float[Tensor, " dim"],
    rows: GroupedRows,
) -> Float[Tensor, "rows position"]:
    """Scores [rows, position] up to a constant that all positions of a row share.

    Args:
        query: [rows, dim]; its elements are smaller than :func:`search_query_limit` of the keys.
        exponentials: [batch, position, dim], see :func:`exp_keys`.
        v: [dim].
        rows: the layout of the rows.
    """
    with torch.autocast(query.device.type, enabled=False):
        left, twice_v = torch.exp(query.to(exponentials.dtype) * -2), v.to(exponentials.dtype) * 2
        compiled = current_ops(exponentials.device, exponentials.dtype)
        if compiled is None:
            return _search_scores(left, exponentials, twice_v, rows.offsets.diff().tolist())
        scores = left.new_empty(len(left), exponentials.shape[1])
        compiled.run("additive_scores", left, exponentials, twice_v, scores, rows.offsets, *exponentials.shape)
        return scores


def _search_scores(left: Tensor, exponentials: Tensor, twice_v: Tensor, counts: Sequence[int]) -> Tensor:
    positions, dim = exponentials.shape[1:]
    most = max(1, SEARCH_BLOCK_ELEMENTS // max(1, positions * dim))
    # 1. cut the rows of each input into blocks that fit the cache
    blocks = [
        (keys, count) for keys, each in zip(exponentials.unbind(), counts, strict=True) for count in _cut(each, most)
    ]
    sizes = [count for _, count in blocks]
    one, scores = left.new_ones(1, 1, 1), left.new_empty(len(left) * positions)
    outputs = torch.split(scores, [count * positions for count in sizes])
    # 2. one buffer for all blocks; a block takes some forty microseconds, and every view made for it is one more
    buffer = left.new_empty(max(sizes, default=0) * positions, dim)
    flat = {count: buffer[: count * positions] for count in set(sizes)}
    terms = {count: rows.view(count, positions, dim) for count, rows in flat.items()}
    # 3. 1 / (1 + e^{−2q} e^{−2k}), summed with 2v
    for (keys, count), own, output in zip(blocks, torch.split(left.unsqueeze(1), sizes), outputs, strict=True):
        torch.addcmul(one, own, keys, out=terms[count]).reciprocal_()
        torch.mv(flat[count], twice_v, out=output)
    return scores.view(-1, positions)


def _cut(count: int, most: int) -> list[int]:
    """``count`` in parts of ``most`` and what is left."""
    return [min(most, count - first) for first in range(0, count, most)]


def _query_limit(exponents: Tensor) -> float:
    """How large other exponents may be for the product of both exponentials to stay well inside the dtype's range."""
    return 0.95 * math.log(torch.finfo(exponents.dtype).max) - float(exponents.abs().amax())


def _blocks(query: Tensor, *, positions: int) -> list[Block]:
    """Blocks of inputs, all of equal size but the last; one input too large for a block is cut by rows."""
    batch, rows, dim = query.shape
    row = max(1, positions * dim)
    num_inputs = max(1, BLOCK_ELEMENTS // max(1, rows * row))
    num_rows = max(1, min(rows, BLOCK_ELEMENTS // row)) if num_inputs == 1 else max(1, rows)
    return [
        (slice(first, min(first + num_inputs, batch)), slice(start, min(start + num_rows, rows)))
        for first in range(0, batch, num_inputs)
        for start in range(0, rows, num_rows)
    ]
