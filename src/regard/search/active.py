"""The hypotheses that are still being extended, and the choice of one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

_NEVER = float("-inf")


@dataclass(frozen=True)
class Choice:
    """What a strategy chose at one step, one entry per new row.

    Attributes:
        parents: int64 [batch, rows], the row that is continued.
        tokens: int64 [batch, rows], the token that continues it.
        log_probabilities: [batch, rows], of the tokens.
        totals: [batch, rows], log-probability of the new rows; -inf where a row is empty.
    """

    parents: Int[Tensor, "batch rows"]
    tokens: Int[Tensor, "batch rows"]
    log_probabilities: Float[Tensor, "batch rows"]
    totals: Float[Tensor, "batch rows"]

    @property
    def is_active(self) -> Bool[Tensor, "batch rows"]:
        """bool [batch, rows], False on empty rows."""
        return self.totals > _NEVER


@dataclass(frozen=True)
class ActiveHypotheses:
    """The rows of all inputs that are not done.

    Attributes:
        step: number of tokens of each row.
        inputs: int64 [batch], ascending: which inputs of the whole batch are still searched.
        tokens: int64 [batch, rows], the last token of each row.
        totals: [batch, rows], log-probability so far; -inf marks an empty row.
        history: int64 [batch, rows, step], all tokens of each row; None when no constraint needs them.
    """

    step: int
    inputs: Int[Tensor, " batch"]
    tokens: Int[Tensor, "batch rows"]
    totals: Float[Tensor, "batch rows"]
    history: Int[Tensor, "batch rows step"] | None

    @classmethod
    def begin(cls, batch: int, rows: int, *, bos: int, keep_history: bool, device: torch.device) -> ActiveHypotheses:
        """Every row has read ``bos`` and has no token."""
        return cls(
            step=0,
            inputs=torch.arange(batch, device=device),
            tokens=torch.full((batch, rows), bos, device=device),
            totals=torch.zeros(batch, rows, device=device),
            history=torch.empty(batch, rows, 0, dtype=torch.long, device=device) if keep_history else None,
        )

    def __len__(self) -> int:
        return self.inputs.shape[0]

    @property
    def is_active(self) -> Bool[Tensor, "batch rows"]:
        """bool [batch, rows], False on empty rows."""
        return self.totals > _NEVER

    def extend(self, choice: Choice, *, eos: int) -> ActiveHypotheses:
        """The rows after ``choice``; rows that ended are empty."""
        history = self.history
        if history is not None:
            parents = choice.parents.unsqueeze(-1).expand(-1, -1, self.step)
            history = torch.cat([history.gather(1, parents), choice.tokens.unsqueeze(-1)], dim=-1)
        totals = choice.totals.masked_fill(choice.tokens == eos, _NEVER)
        return ActiveHypotheses(self.step + 1, self.inputs, choice.tokens, totals, history)

    def without(self, done: Bool[Tensor, " batch"]) -> ActiveHypotheses:
        """The same batch with the rows of done inputs (bool [batch]) emptied."""
        totals = self.totals.masked_fill(done.unsqueeze(1), _NEVER)
        return ActiveHypotheses(self.step, self.inputs, self.tokens, totals, self.history)

    def select(self, index: Int[Tensor, " selected"]) -> ActiveHypotheses:
        """The inputs at ``index`` (int64 [selected], ascending)."""
        history = None if self.history is None else self.history[index]
        return ActiveHypotheses(self.step, self.inputs[index], self.tokens[index], self.totals[index], history)


def remaining_inputs(done: Bool[Tensor, " batch"]) -> Tensor | None:
    """The inputs to go on with, int64 [remaining], or None while too few are done (bool [batch]) to be worth a copy.

    Dropping done inputs copies the annotations of all others, so it waits until an eighth of the batch is done.
    """
    num_done = int(done.sum())
    if not num_done or num_done * 8 < len(done):
        return None
    return (~done).nonzero().squeeze(1)
