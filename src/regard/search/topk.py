"""The best continuations of all rows of an input, without looking at every word twice.

The words of a row are cut into blocks, and the best word of each block is found in one pass. The ``count`` best
continuations lie in the ``count`` blocks with the best words: for a continuation outside of them, each of these blocks
holds one that is as good. So only these blocks are searched; the vocabulary is not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from regard.search.step_scores import Scores

BLOCK = 64
"""Words in a block."""
_NEVER = float("-inf")


def best_continuations(scores: Scores, totals: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The ``count`` largest sums of a total and a score; fewer where there are fewer.

    Args:
        scores: of continuations.
        totals: [batch, rows] of what is continued; -inf of empty rows.
        count: how many.

    Returns:
        The sums, best first, and the row and the word of each, all [batch, count].
    """
    rows, size = totals.shape[1], scores.values.shape[1]
    count = min(count, rows * size)
    if rows * size <= 2 * count * BLOCK:
        best, place = _sums(scores.values, scores.places, totals).topk(count, dim=1)
        return best, place // size, place % size
    block, row = _best_blocks(scores, totals, count)
    words = block.unsqueeze(-1) * BLOCK + torch.arange(BLOCK, device=block.device)
    absent = words >= size
    words.clamp_max_(size - 1)
    places = (scores.places.gather(1, row) * size).unsqueeze(-1) + words
    found = scores.values.flatten().index_select(0, places.flatten()).view_as(places)
    sums = found.add_(totals.gather(1, row).unsqueeze(-1))
    best, place = sums.masked_fill_(absent, _NEVER).flatten(1).topk(count, dim=1)
    return best, row.gather(1, place // BLOCK), words.flatten(1).gather(1, place)


def _best_blocks(scores: Scores, totals: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The number of each of the ``count`` best blocks in its row, and that row, both int64 [batch, count]."""
    living, size = scores.values.shape
    whole = size // BLOCK * BLOCK
    best = [scores.values[:, :whole].view(living, -1, BLOCK).amax(dim=2)]
    if whole < size:
        best.append(scores.values[:, whole:].amax(dim=1, keepdim=True))
    joined = torch.cat(best, dim=1)
    place = _sums(joined, scores.places, totals).topk(count, dim=1).indices
    return place % joined.shape[1], place // joined.shape[1]


def _sums(values: Tensor, places: Tensor, totals: Tensor) -> Tensor:
    """What rows have at their places, and their totals added, [batch, rows × columns]."""
    of_rows = values.index_select(0, places.flatten()).view(*places.shape, -1)
    return of_rows.add_(totals.unsqueeze(-1)).flatten(1)
