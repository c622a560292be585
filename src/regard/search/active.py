"""The hypotheses that are still being said, and what one step makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_NEVER = float("-inf")


@dataclass(frozen=True)
class Choice:
    """What a chooser picked at one step, one entry per new row.

    Attributes:
        parents: int64 [batch, rows], the row that is continued.
        tokens: int64 [batch, rows], the token that continues it.
        log_probabilities: [batch, rows], of the tokens.
        totals: [batch, rows], log-probability of the new rows; -inf where a row is empty.
    """

    parents: Tensor
    tokens: Tensor
    log_probabilities: Tensor
    totals: Tensor

    @property
    def alive(self) -> Tensor:
        """bool [batch, rows], False on empty rows."""
        return self.totals > _NEVER


@dataclass(frozen=True)
class Live:
    """The rows of all inputs that are not done.

    Attributes:
        step: how many tokens each row has said.
        inputs: int64 [batch], ascending: which inputs of the whole batch are still here.
        tokens: int64 [batch, rows], the last token of each row.
        totals: [batch, rows], log-probability so far; -inf marks an empty row.
        said: int64 [batch, rows, step], all tokens of each row; None when no filter asks for them.
    """

    step: int
    inputs: Tensor
    tokens: Tensor
    totals: Tensor
    said: Tensor | None

    @classmethod
    def begin(cls, batch: int, rows: int, *, bos: int, remember: bool, device: torch.device) -> Live:
        """Every row has read ``bos`` and said nothing."""
        return cls(
            step=0,
            inputs=torch.arange(batch, device=device),
            tokens=torch.full((batch, rows), bos, device=device),
            totals=torch.zeros(batch, rows, device=device),
            said=torch.empty(batch, rows, 0, dtype=torch.long, device=device) if remember else None,
        )

    def __len__(self) -> int:
        return self.inputs.shape[0]

    @property
    def alive(self) -> Tensor:
        """bool [batch, rows], False on empty rows."""
        return self.totals > _NEVER

    def follow(self, choice: Choice, *, eos: int) -> Live:
        """The rows after ``choice``; rows that ended are empty."""
        said = self.said
        if said is not None:
            parents = choice.parents.unsqueeze(-1).expand(-1, -1, self.step)
            said = torch.cat([said.gather(1, parents), choice.tokens.unsqueeze(-1)], dim=-1)
        totals = choice.totals.masked_fill(choice.tokens == eos, _NEVER)
        return Live(self.step + 1, self.inputs, choice.tokens, totals, said)

    def without(self, done: Tensor) -> Live:
        """The same batch with the rows of done inputs (bool [batch]) emptied."""
        totals = self.totals.masked_fill(done.unsqueeze(1), _NEVER)
        return Live(self.step, self.inputs, self.tokens, totals, self.said)

    def select(self, index: Tensor) -> Live:
        """The inputs at ``index`` (int64 [kept], ascending)."""
        said = None if self.said is None else self.said[index]
        return Live(self.step, self.inputs[index], self.tokens[index], self.totals[index], said)


def worth_leaving(done: Tensor) -> Tensor | None:
    """Which inputs stay, int64 [kept], or None while too few of them are done (bool [batch]) to be worth a copy.

    Leaving copies the annotations of all that stay, so it waits until an eighth of the batch is done.
    """
    num_done = int(done.sum())
    if not num_done or num_done * 8 < len(done):
        return None
    return (~done).nonzero().squeeze(1)
