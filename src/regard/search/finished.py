"""Finished hypotheses: those that are complete (or can go no further), their scores, and when a search may stop.

    score(y) = log p(y) / |y|^α        |y| counts the tokens and, where there is one, the end

the plain power of the length (Koehn & Knowles 2017, with α = 1; Cho et al. 2014). Wu et al. 2016 (GNMT, eq. 14) divide
by ((5 + |y|) / 6)^α instead, which flattens the first tokens; the plain power is used here because its α compares with
what captioning reports, and because both satisfy the bound below.

**Why stopping early is safe.** Let a row have log-probability L after t tokens. Whatever is appended has a probability
of at most 1, so every completion y has log p(y) ≤ L ≤ 0, and t < |y| ≤ T with T = max_length. Since α ≥ 0, |y|^α ≤ T^α,
and dividing the non-positive log p(y) by at most T^α gives

    score(y) = log p(y) / |y|^α ≤ log p(y) / T^α ≤ L / T^α.

When the k-th best finished score of an input reaches L / T^α of its best unfinished row, no unfinished row of that
input can end with a better score than any of the k that would be returned; and a finished hypothesis is returned before
any unfinished one. So the k returned are the same as if the search had gone on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regard.search.active import ActiveHypotheses

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

_NEVER = float("-inf")


def length_normalised(totals: Tensor, length: int, *, alpha: float) -> Tensor:
    """log p / length^α of log-probabilities ``totals``; ``length`` of at least 1."""
    return totals / float(max(length, 1) ** alpha)


@dataclass(frozen=True)
class RankedHypotheses:
    """The n-best list of every input, best first; one entry per hypothesis, all [hypothesis].

    Attributes:
        inputs: its input.
        rows: its row after its last token.
        lengths: its number of tokens.
        totals: its log-probability.
        scores: what ranks it.
        finished: whether it has an end.
    """

    inputs: Int[Tensor, " hypothesis"]
    rows: Int[Tensor, " hypothesis"]
    lengths: Int[Tensor, " hypothesis"]
    totals: Float[Tensor, " hypothesis"]
    scores: Float[Tensor, " hypothesis"]
    finished: Bool[Tensor, " hypothesis"]


class FinishedHypotheses:
    """Up to ``capacity`` finished and ``capacity`` unfinished hypotheses for each input.

    Args:
        batch: number of inputs.
        capacity: the most hypotheses of each kind that one input can have.
        num_returned: how many will be returned.
        alpha: the length normalisation.
        max_length: the most tokens, the end included.
    """

    def __init__(
        self, batch: int, *, capacity: int, num_returned: int, alpha: float, max_length: int, device: torch.device
    ) -> None:
        self.capacity = capacity
        self.num_returned = num_returned
        self.alpha = alpha
        self.max_length = max_length
        shape = (batch, 2 * capacity)
        self._scores = torch.full(shape, _NEVER, device=device)
        self._totals = torch.full(shape, _NEVER, device=device)
        self._rows = torch.zeros(shape, dtype=torch.long, device=device)
        self._lengths = torch.zeros(shape, dtype=torch.long, device=device)
        self._counts = torch.zeros(2, batch, dtype=torch.long, device=device)

    def add(
        self,
        chosen: Bool[Tensor, "batch rows"],
        before: ActiveHypotheses,
        *,
        rows: Int[Tensor, "batch rows"],
        totals: Float[Tensor, "batch rows"],
        finished: bool,
    ) -> None:
        """Add hypotheses whose last token was chosen before this step.

        Args:
            chosen: bool [batch, rows], which entries of ``rows`` and ``totals`` to add.
            before: the rows before the step.
            rows: int64 [batch, rows], indices of rows of ``before``.
            totals: [batch, rows], their log-probability, the end included when finished.
            finished: whether the end was chosen.
        """
        batch, entry = chosen.nonzero(as_tuple=True)
        if not len(batch):
            return
        inputs = before.inputs[batch]
        counts = self._counts[0 if finished else 1]
        slot = counts[inputs] + (chosen.cumsum(dim=1) - 1)[batch, entry] + (0 if finished else self.capacity)
        counts[before.inputs] += chosen.sum(dim=1)
        self._totals[inputs, slot] = totals[batch, entry]
        self._scores[inputs, slot] = length_normalised(totals[batch, entry], before.step + finished, alpha=self.alpha)
        self._rows[inputs, slot] = rows[batch, entry]
        self._lengths[inputs, slot] = before.step

    def is_final(self, active: ActiveHypotheses) -> Bool[Tensor, " batch"]:
        """bool [batch]: no active row can enter what will be returned (see the proof above)."""
        finished = self._scores[:, : self.capacity].index_select(0, active.inputs)
        worst_returned = finished.topk(self.num_returned, dim=1).values[:, -1]
        # where scores are not numbers nothing can come
        return ~(worst_returned < length_normalised(active.totals.amax(dim=1), self.max_length, alpha=self.alpha))

    def can_be_best(self, active: ActiveHypotheses) -> Bool[Tensor, "batch rows"]:
        """bool [batch, rows]: active rows that may still become the best hypothesis of their input (same proof)."""
        best = self._scores[:, : self.capacity].amax(dim=1).index_select(0, active.inputs).unsqueeze(1)
        return best < length_normalised(active.totals, self.max_length, alpha=self.alpha)

    def best(self) -> RankedHypotheses:
        """The ``num_returned`` best of each input: finished before unfinished, then by score."""
        finished = torch.arange(2 * self.capacity, device=self._scores.device) < self.capacity
        by_score = self._scores.argsort(dim=1, descending=True, stable=True)
        present = self._totals > _NEVER
        rank = torch.where(present, (~finished).long(), 2).gather(1, by_score)
        order = by_score.gather(1, rank.argsort(dim=1, stable=True))[:, : self.num_returned]
        inputs, column = present.gather(1, order).nonzero(as_tuple=True)
        slot = order[inputs, column]
        return RankedHypotheses(
            inputs,
            self._rows[inputs, slot],
            self._lengths[inputs, slot],
            self._totals[inputs, slot],
            self._scores[inputs, slot],
            finished[slot],
        )
