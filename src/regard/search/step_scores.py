"""The log-probabilities of one step, without those of empty rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regard.decoders.base import Step
from regard.fast.search.beam_state import ActiveStep

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Shaped


@dataclass(frozen=True)
class StepScores:
    """Log-probabilities of the next tokens.

    Attributes:
        values: float32 [active, vocabulary], which constraints change in place.
        row_index: int64 [batch, rows], index of each row among the active ones; of an empty row that of another row of
            its input.
        active: int64 [active], the rows that are not empty, counted over all inputs; None when none is empty.
    """

    values: Float[Tensor, "active vocabulary"]
    row_index: Int[Tensor, "batch rows"]
    active: Tensor | None

    @classmethod
    def of(cls, step: Step, batch: int, rows: int) -> StepScores:
        """In a new tensor, in float32 whatever the decoder computes in."""
        values = torch.log_softmax(step.logits, dim=-1, dtype=torch.float32)
        if not isinstance(step, ActiveStep):
            return cls.of_all(values)
        index = values.new_full((batch * rows,), -1, dtype=torch.long)
        index.index_copy_(0, step.active, torch.arange(len(values), device=values.device))
        index = index.view(batch, rows)
        others = index.amax(dim=1, keepdim=True).clamp_min_(0)
        return cls(values, torch.where(index < 0, others, index), step.active)

    @classmethod
    def of_all(cls, values: Float[Tensor, "batch rows vocabulary"]) -> StepScores:
        """Of values [batch, rows, vocabulary]."""
        batch, rows = values.shape[:2]
        return cls(values.flatten(0, 1), torch.arange(batch * rows, device=values.device).view(batch, rows), None)

    def gather_active(self, of_rows: Tensor) -> Tensor:
        """The entries of active rows [active, ...] of a tensor [batch, rows, ...]."""
        flat = of_rows.flatten(0, 1)
        return flat if self.active is None else flat.index_select(0, self.active)

    def scatter_active(self, of_active: Shaped[Tensor, " active"]) -> Shaped[Tensor, "batch rows"]:
        """A tensor [batch, rows] with the entries of active rows [active]; 0 on empty ones."""
        if self.active is None:
            return of_active.view_as(self.row_index)
        zeros = of_active.new_zeros(self.row_index.numel())
        return zeros.index_copy_(0, self.active, of_active).view_as(self.row_index)
