"""The rows of a state whose next look is still to come.

Where a decoder looks from depends on the words before the last one, so hypotheses that part at their last word look
alike: what they share is computed once. That is why the rows of such a state are not reordered when hypotheses are;
they are read through their parents at the next step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from regard.decoders.base import State


class Looking(NamedTuple):
    """Which rows of a state look, and who sees it. A row is counted over all inputs, ``input × rows + row``.

    Attributes:
        rows: int64 [looks], the rows that are continued, ascending; each once.
        sees: int64 [batch × new rows], for each new row the look that it has, an index into ``rows``.
        parents: int64 [batch × new rows], for each new row the row that it continues.
        counts: how many looks each input has.
        places: int64 [looks], where each look stands in a block [batch, width] whose rows begin with the looks of an
            input; counted over all inputs like a row.
    """

    rows: Tensor
    sees: Tensor
    parents: Tensor
    counts: list[int]
    places: Tensor

    @property
    def inputs(self) -> Tensor:
        """int64 [looks], the input that each look is at."""
        return torch.div(self.places, max(1, self.width), rounding_mode="floor")

    @property
    def width(self) -> int:
        """The most looks of an input."""
        return max(self.counts, default=0)

    def to_block(self, looks: Tensor) -> Tensor:
        """[looks, dim] in their places: [batch, width, dim], zeros elsewhere."""
        batch, width = len(self.counts), self.width
        if len(looks) == batch * width:
            return looks.view(batch, width, -1)
        block = looks.new_zeros(batch * width, looks.shape[1]).index_copy_(0, self.places, looks)
        return block.view(batch, width, -1)

    def from_block(self, block: Tensor) -> Tensor:
        """The inverse of :meth:`to_block`."""
        flat = block.flatten(0, 1)
        return flat if len(flat) == len(self.places) else flat.index_select(0, self.places)


@dataclass(frozen=True)
class FamilyState(State):
    """A state whose hypotheses are given by their parents.

    Attributes:
        parents: int64 [batch, new rows], the row of ``rows`` that each hypothesis continues.
    """

    parents: Tensor | None = None

    def reorder(self, index: Tensor) -> FamilyState:
        """See :meth:`State.reorder`; nothing is copied."""
        return replace(self, parents=index if self.parents is None else self.parents.gather(1, index))

    def select(self, index: Tensor) -> FamilyState:
        """See :meth:`State.select`."""
        rows = {name: tensor.index_select(0, index) for name, tensor in self.rows.items()}
        parents = None if self.parents is None else self.parents.index_select(0, index)
        return replace(self, memory=self.memory.select(index), rows=rows, parents=parents)

    def looking(self) -> Looking:
        """Who looks."""
        batch, rows = next(iter(self.rows.values())).shape[:2]
        every = torch.arange(batch * rows, device=self.memory.values.device)
        if self.parents is None:
            return Looking(every, every, every, [rows] * batch, every)
        parents = (self.parents + every[::rows].unsqueeze(1)).flatten()
        continued = torch.zeros_like(every).index_fill_(0, parents, 1)
        looking = continued.nonzero().squeeze(1)
        sees = (continued.cumsum(dim=0) - 1).index_select(0, parents)
        in_input = continued.view(batch, rows).cumsum(dim=1)
        counts: list[int] = in_input[:, -1].tolist()
        first = torch.arange(batch, device=every.device).unsqueeze(1) * max(counts, default=0) - 1
        return Looking(looking, sees, parents, counts, (in_input + first).flatten().index_select(0, looking))
