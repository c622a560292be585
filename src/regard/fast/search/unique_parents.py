"""The rows of a state whose next look is still to come.

Where a decoder looks from depends on the words before the last one, so hypotheses that part at their last word look
alike: what they share is computed once. That is why the rows of such a state are not reordered when hypotheses are;
they are read through their parents at the next step. Of hypotheses that are empty nothing is computed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from regard.decoders.base import EMPTY, State, Step
from regard.ops.packing import Rows


class Looking(NamedTuple):
    """Which rows of a state look, and who sees it.

    Attributes:
        rows: int64 [looks], the rows of the state that are continued, ascending; each once.
        sees: int64 [living], for each new row the look that it has, an index into ``rows``.
        parents: int64 [living], for each new row the row of the state that it continues.
        living: int64 [living], which of the batch × rows new ones are not empty; None when none is.
        looks: how the looks are laid out.
        owners: int64 [living], the input of each new row.
    """

    rows: Tensor
    sees: Tensor
    parents: Tensor
    living: Tensor | None
    looks: Rows
    owners: Tensor


@dataclass(frozen=True)
class LivingStep(Step):
    """A step with rows that are empty: ``logits`` are those of the others, [living, vocabulary].

    Attributes:
        living: int64 [living], the other rows, counted over all inputs.
    """

    living: Tensor


@dataclass(frozen=True, kw_only=True)
class FamilyState(State):
    """A state whose hypotheses are given by what they continue.

    Attributes:
        rows: tensors [continued, ...], those of one input after those of another.
        places: int64 [batch, new rows], the row that each hypothesis continues, ``EMPTY`` where there is none.
    """

    places: Tensor

    def reorder(self, index: Tensor) -> FamilyState:
        """See :meth:`State.reorder`; nothing is copied."""
        places = self.places.gather(1, index.clamp_min(0))
        return replace(self, places=torch.where(index < 0, EMPTY, places))

    def select(self, index: Tensor) -> FamilyState:
        """See :meth:`State.select`; the inputs stay in their order, and no row is copied."""
        return replace(self, memory=self.memory.select(index), places=self.places.index_select(0, index))

    def looking(self) -> Looking:
        """Who looks."""
        (batch, rows), parents, living = self.places.shape, self.places.flatten(), None
        inputs = torch.arange(batch, device=parents.device).repeat_interleave(rows)
        if int(parents.amin()) < 0:
            living = (parents >= 0).nonzero().squeeze(1)
            parents, inputs = parents.index_select(0, living), inputs.index_select(0, living)
        continued = next(iter(self.rows.values())).shape[0]
        looked = torch.full((continued,), EMPTY, device=parents.device).index_copy_(0, parents, inputs)
        looks = looked >= 0
        looking = looks.nonzero().squeeze(1)
        sees = (looks.cumsum(dim=0) - 1).index_select(0, parents)
        return Looking(looking, sees, parents, living, Rows.of(looked.index_select(0, looking), batch), inputs)

    def following(self, rows: dict[str, Tensor], living: Tensor | None) -> FamilyState:
        """The state after a step, of the rows [living, ...] that it has given."""
        places = torch.arange(self.places.numel() if living is None else len(living), device=self.places.device)
        if living is not None:
            empty = torch.full_like(self.places, EMPTY).flatten()
            places = empty.index_copy_(0, living, places)
        return replace(self, rows=rows, length=self.length + 1, places=places.view_as(self.places))
