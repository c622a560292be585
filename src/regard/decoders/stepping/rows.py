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
        num_rows: batch × rows.
    """

    rows: Tensor
    sees: Tensor
    parents: Tensor
    num_rows: int


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
        rows = {name: tensor[index] for name, tensor in self.rows.items()}
        parents = None if self.parents is None else self.parents[index]
        return replace(self, memory=self.memory.select(index), rows=rows, parents=parents)

    def looking(self) -> Looking:
        """Who looks."""
        batch, rows = next(iter(self.rows.values())).shape[:2]
        every = torch.arange(batch * rows, device=self.memory.values.device)
        if self.parents is None:
            return Looking(every, every, every, len(every))
        parents = (self.parents + every[::rows].unsqueeze(1)).flatten()
        continued = torch.zeros(batch * rows, dtype=torch.bool, device=parents.device)
        continued[parents] = True
        places = continued.cumsum(dim=0) - 1
        return Looking(every[continued], places[parents], parents, len(every))
