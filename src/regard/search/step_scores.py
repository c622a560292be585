"""What rows may say next, without the rows that are empty."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from regard.decoders.base import Step
from regard.fast.search.beam_state import ActiveStep


@dataclass(frozen=True)
class Scores:
    """Log-probabilities of words.

    Attributes:
        values: float32 [living, vocabulary], which filters change in place.
        places: int64 [batch, rows], the number of each row among the living ones; of an empty row that of another row
            of its input.
        living: int64 [living], the living rows, counted over all inputs; None when all rows are.
    """

    values: Tensor
    places: Tensor
    living: Tensor | None

    @classmethod
    def of(cls, step: Step, batch: int, rows: int) -> Scores:
        """In a new tensor, in float32 whatever the decoder computes in."""
        values = torch.log_softmax(step.logits, dim=-1, dtype=torch.float32)
        if not isinstance(step, ActiveStep):
            return cls.of_all(values)
        places = values.new_full((batch * rows,), -1, dtype=torch.long)
        places.index_copy_(0, step.active, torch.arange(len(values), device=values.device))
        places = places.view(batch, rows)
        others = places.amax(dim=1, keepdim=True).clamp_min_(0)
        return cls(values, torch.where(places < 0, others, places), step.active)

    @classmethod
    def of_all(cls, values: Tensor) -> Scores:
        """Of values [batch, rows, vocabulary]."""
        batch, rows = values.shape[:2]
        return cls(values.flatten(0, 1), torch.arange(batch * rows, device=values.device).view(batch, rows), None)

    def take(self, of_rows: Tensor) -> Tensor:
        """The living ones [living, ...] of what belongs to all rows [batch, rows, ...]."""
        flat = of_rows.flatten(0, 1)
        return flat if self.living is None else flat.index_select(0, self.living)

    def give(self, of_living: Tensor) -> Tensor:
        """What belongs to living rows [living] for all rows [batch, rows]; 0 for empty ones."""
        if self.living is None:
            return of_living.view_as(self.places)
        return of_living.new_zeros(self.places.numel()).index_copy_(0, self.living, of_living).view_as(self.places)
