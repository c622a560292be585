"""The best continuations of all rows of an input, without looking at every word twice.

The words of a row are cut into blocks, and the best word of each block is found in one pass. The ``count`` best
continuations lie in the ``count`` blocks with the best words: for a continuation outside of them, each of these blocks
holds one that is as good. So only these blocks are searched; the vocabulary is not.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 64
"""Words in a block."""
_NEVER = float("-inf")


def best_continuations(scores: Tensor, totals: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The ``count`` largest sums of a total and a score; fewer where there are fewer.

    Args:
        scores: [batch, rows, vocabulary] of continuations.
        totals: [batch, rows] of what is continued.
        count: how many.

    Returns:
        The sums, best first, and the row and the word of each, all [batch, count].
    """
    batch, rows, size = scores.shape
    count = min(count, rows * size)
    if rows * size <= 2 * count * BLOCK:
        sums = (scores + totals.unsqueeze(-1)).view(batch, -1)
        best, place = sums.topk(count, dim=1)
        return best, place // size, place % size
    block, row = _best_blocks(scores, totals, count)
    words = block.unsqueeze(-1) * BLOCK + torch.arange(BLOCK, device=scores.device)
    absent = words >= size
    words.clamp_max_(size - 1)
    places = (row * size).unsqueeze(-1) + words
    sums = scores.reshape(batch, -1).gather(1, places.flatten(1)).view_as(places) + totals.gather(1, row).unsqueeze(-1)
    best, place = sums.masked_fill_(absent, _NEVER).flatten(1).topk(count, dim=1)
    return best, row.gather(1, place // BLOCK), words.flatten(1).gather(1, place)


def _best_blocks(scores: Tensor, totals: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The number of each of the ``count`` best blocks in its row, and that row, both int64 [batch, count]."""
    size = scores.shape[-1]
    whole = size // BLOCK * BLOCK
    best = [scores[..., :whole].view(*scores.shape[:2], -1, BLOCK).amax(dim=-1)]
    if whole < size:
        best.append(scores[..., whole:].amax(dim=-1, keepdim=True))
    joined = torch.cat(best, dim=-1) + totals.unsqueeze(-1)
    place = joined.flatten(1).topk(count, dim=1).indices
    return place % joined.shape[-1], place // joined.shape[-1]
