"""The best continuations of all rows of an input, without reading every score twice.

The tokens of a row are cut into blocks, and the best token of each block is found in one pass. The ``count`` best
continuations lie in the ``count`` blocks with the best tokens: for a continuation outside of them, each of these blocks
holds one that is as good. So only these blocks are searched; the vocabulary is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regard.search.step_scores import StepScores

if TYPE_CHECKING:
    from jaxtyping import Float, Int

BLOCK = 64
"""Tokens in a block."""
_NEVER = float("-inf")


def best_continuations(
    scores: StepScores, totals: Float[Tensor, "batch rows"], count: int
) -> tuple[Float[Tensor, "batch count"], Int[Tensor, "batch count"], Int[Tensor, "batch count"]]:
    """The ``count`` largest sums of a total and a score; fewer where there are fewer.

    Args:
        scores: of continuations.
        totals: [batch, rows] of what is continued; -inf of empty rows.
        count: how many.

    Returns:
        The sums, best first, and the row and the token of each, all [batch, count].
    """
    rows, size = totals.shape[1], scores.values.shape[1]
    count = min(count, rows * size)
    if rows * size <= 2 * count * BLOCK:
        best, index = _sums(scores.values, scores.row_index, totals).topk(count, dim=1)
        return best, index // size, index % size
    # 1. the blocks with the best tokens
    block, row = _best_blocks(scores, totals, count)
    # 2. the tokens of these blocks and their sums; a block may reach past the vocabulary
    tokens = block.unsqueeze(-1) * BLOCK + torch.arange(BLOCK, device=block.device)
    outside = tokens >= size
    tokens.clamp_max_(size - 1)
    index = (scores.row_index.gather(1, row) * size).unsqueeze(-1) + tokens
    values = scores.values.flatten().index_select(0, index.flatten()).view_as(index)
    sums = values.add_(totals.gather(1, row).unsqueeze(-1))
    # 3. the best of them
    best, column = sums.masked_fill_(outside, _NEVER).flatten(1).topk(count, dim=1)
    return best, row.gather(1, column // BLOCK), tokens.flatten(1).gather(1, column)


def _best_blocks(scores: StepScores, totals: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The number of each of the ``count`` best blocks in its row, and that row, both int64 [batch, count]."""
    active, size = scores.values.shape
    whole = size // BLOCK * BLOCK
    best = [scores.values[:, :whole].view(active, -1, BLOCK).amax(dim=2)]
    if whole < size:
        best.append(scores.values[:, whole:].amax(dim=1, keepdim=True))
    joined = torch.cat(best, dim=1)
    index = _sums(joined, scores.row_index, totals).topk(count, dim=1).indices
    return index % joined.shape[1], index // joined.shape[1]


def _sums(values: Tensor, row_index: Tensor, totals: Tensor) -> Tensor:
    """The values of all rows with their totals added, [batch, rows × columns]."""
    of_rows = values.index_select(0, row_index.flatten()).view(*row_index.shape, -1)
    return of_rows.add_(totals.unsqueeze(-1)).flatten(1)
