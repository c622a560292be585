"""The state of a beam whose hypotheses are stored as indices of their parents.

Attention before the next word depends on the words before the last one, so hypotheses that differ in their last word
alone share it: it is computed once for each unique parent. That is why the rows of such a state are not copied when
hypotheses are reordered; the next step reads them through their parents. Nothing is computed for empty hypotheses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from regard.decoders.base import EMPTY, State, Step
from regard.ops.packing import GroupedRows


class ParentIndex(NamedTuple):
    """The index map of one step between unique parents and the hypotheses that continue them.

    Attributes:
        unique: int64 [unique], the rows of the state that are continued, ascending.
        inverse: int64 [active], for each active hypothesis its parent, an index into ``unique``.
        parents: int64 [active], for each active hypothesis the row of the state that it continues.
        active: int64 [active], which of the batch × beam hypotheses are not empty; None when none is empty.
        rows: the layout of the unique parents.
        batch_index: int64 [active], the input of each active hypothesis.
    """

    unique: Tensor
    inverse: Tensor
    parents: Tensor
    active: Tensor | None
    rows: GroupedRows
    batch_index: Tensor


@dataclass(frozen=True, kw_only=True)
class ActiveStep(Step):
    """A step of a beam with empty hypotheses: ``readout`` and ``logits`` are those of the others, [active, ...].

    Attributes:
        active: int64 [active], the other hypotheses, counted over all inputs.
    """

    active: Tensor


@dataclass(frozen=True, kw_only=True)
class BeamState(State):
    """A state whose hypotheses are given by their parents.

    Attributes:
        rows: tensors [parent, ...], those of one input after those of another.
        parents: int64 [batch, beam], the row that each hypothesis continues, ``EMPTY`` where there is none.
    """

    parents: Tensor

    def reorder(self, index: Tensor) -> BeamState:
        """See :meth:`State.reorder`; nothing is copied."""
        parents = self.parents.gather(1, index.clamp_min(0))
        return replace(self, parents=torch.where(index < 0, EMPTY, parents))

    def select(self, index: Tensor) -> BeamState:
        """See :meth:`State.select`; the inputs stay in their order, and no row is copied."""
        return replace(self, memory=self.memory.select(index), parents=self.parents.index_select(0, index))

    def parent_index(self) -> ParentIndex:
        """Which rows are continued, and by which hypotheses."""
        (batch, beam), parents, active = self.parents.shape, self.parents.flatten(), None
        # 1. the hypotheses that are not empty
        inputs = torch.arange(batch, device=parents.device).repeat_interleave(beam)
        if int(parents.amin()) < 0:
            active = (parents >= 0).nonzero().squeeze(1)
            parents, inputs = parents.index_select(0, active), inputs.index_select(0, active)
        # 2. the input of every row that is continued
        num_rows = next(iter(self.rows.values())).shape[0]
        input_of_row = torch.full((num_rows,), EMPTY, device=parents.device).index_copy_(0, parents, inputs)
        continued = input_of_row >= 0
        # 3. those rows, each once, and the map back
        unique = continued.nonzero().squeeze(1)
        inverse = (continued.cumsum(dim=0) - 1).index_select(0, parents)
        rows = GroupedRows.of(input_of_row.index_select(0, unique), batch)
        return ParentIndex(unique, inverse, parents, active, rows, inputs)

    def following(self, rows: dict[str, Tensor], active: Tensor | None) -> BeamState:
        """The state after a step, from its rows [active, ...]."""
        parents = torch.arange(self.parents.numel() if active is None else len(active), device=self.parents.device)
        if active is not None:
            empty = torch.full_like(self.parents, EMPTY).flatten()
            parents = empty.index_copy_(0, active, parents)
        return replace(self, rows=rows, length=self.length + 1, parents=parents.view_as(self.parents))
