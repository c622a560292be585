"""Looks of a search: the same keys are compared with new queries at every word, and nothing is learned.

What :mod:`regard.ops.additive` does for training is done here for keys that stay: with

    v · tanh(q + k) = Σ_a 2 v_a / (1 + e^{−2 q_a} e^{−2 k_a}) − Σ_a v_a

the powers of the keys are taken once per input, and since a softmax follows, the last sum, which all positions share,
is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from regard.ops.cpu.compiled import current_loops
from regard.ops.packing import Rows
from regard.ops.weighted_sum import Mixer

BLOCK_NUMBERS = 1 << 17
"""How many terms of the sums are alive at once: 512 KiB in float32, which a core's own cache holds with the keys."""


def key_powers(keys: Tensor) -> Tensor:
    """e^{−2 k}, of keys of any shape, in single precision at least."""
    return (_precise(keys) * -2).exp_()


def powers_fit(keys: Tensor) -> float:
    """How large a number of a query may be for :func:`additive_looks`; 0 or less where no query would do."""
    if not keys.numel():
        return math.inf
    least, most = keys.aminmax()
    return 0.95 * math.log(torch.finfo(_precise(keys).dtype).max) / 2 - max(float(most), -float(least))


def _precise(numbers: Tensor) -> Tensor:
    """What a mixed precision gives in half of it, in single precision."""
    return numbers.float() if numbers.element_size() < 4 else numbers


def additive_looks(query: Tensor, powers: Tensor, v: Tensor, rows: Rows) -> Tensor:
    """Scores up to a number that all positions of a row share.

    Args:
        query: [looks, dim], the looks of one input after those of another; their numbers are smaller than
            :func:`powers_fit` of the keys.
        powers: [batch, position, dim], see :func:`key_powers`.
        v: [dim].
        rows: how the looks are laid out.

    Returns:
        [looks, position].
    """
    with torch.autocast(query.device.type, enabled=False):
        left, twice_v = torch.exp(query.to(powers.dtype) * -2), v.to(powers.dtype) * 2
        loops = current_loops(powers.device, powers.dtype)
        if loops is None:
            return _additive_looks(left, powers, twice_v, rows.bounds.diff().tolist())
        scores = left.new_empty(len(left), powers.shape[1])
        loops.run("additive_scores", left, powers, twice_v, scores, rows.bounds, *powers.shape)
        return scores


def _additive_looks(left: Tensor, powers: Tensor, twice_v: Tensor, counts: Sequence[int]) -> Tensor:
    positions, dim = powers.shape[1:]
    most = max(1, BLOCK_NUMBERS // max(1, positions * dim))
    pieces = [(keys, count) for keys, each in zip(powers.unbind(), counts, strict=True) for count in _cut(each, most)]
    sizes = [count for _, count in pieces]
    one, scores = left.new_ones(1, 1, 1), left.new_empty(len(left) * positions)
    founds = torch.split(scores, [count * positions for count in sizes])
    # a piece takes some forty microseconds, and every view that is made for it is one more
    buffer = left.new_empty(max(sizes, default=0) * positions, dim)
    flat = {count: buffer[: count * positions] for count in set(sizes)}
    terms = {count: rows.view(count, positions, dim) for count, rows in flat.items()}
    for (keys, count), own, found in zip(pieces, torch.split(left.unsqueeze(1), sizes), founds, strict=True):
        torch.addcmul(one, own, keys, out=terms[count]).reciprocal_()
        torch.mv(flat[count], twice_v, out=found)
    return scores.view(-1, positions)


def mix_looks(weights: Tensor, values: Tensor, rows: Rows) -> Tensor:
    """What weights [looks, position] mix of the values [batch, position, dim] of their inputs, [looks, dim]."""
    if current_loops(values.device, weights.dtype) is None:
        return rows.from_block(torch.bmm(rows.to_block(weights.to(values.dtype)), values)).to(weights.dtype)
    mixed = weights.new_empty(len(weights), values.shape[2])
    Mixer(values, weights.dtype).mix(weights, rows, out=mixed)
    return mixed


def _cut(count: int, most: int) -> list[int]:
    """``count`` in parts of ``most`` and what is left."""
    return [min(most, count - first) for first in range(0, count, most)]
