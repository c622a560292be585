"""Back-pointers of a search: who continued whom, and where each row looked.

Nothing is copied when rows are reordered. Each step records its tokens, its parents and the weights as the decoder gave
them; the few hypotheses that are returned are read backwards, once, at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regard.search.active import Choice

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class Hypothesis:
    """One sentence that a search found.

    Attributes:
        tokens: without begin and end.
        log_probabilities: of each token, under the model.
        log_probability: of the whole, the end included when it is finished.
        score: what ranked it, log p / length^α.
        weights: float32 [token, position], one row per token: where the decoder looked. Positions are the real ones
            of this input, without padding.
        finished: False when the search ran out of length before the end.
    """

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    log_probability: float
    score: float
    weights: Tensor
    finished: bool


@dataclass(frozen=True)
class Sequences:
    """The tokens of hypotheses, read back: padded, one entry per hypothesis.

    Attributes:
        tokens: int64 [hypothesis, time].
        log_probabilities: [hypothesis, time].
        weights: [hypothesis, time, position].
    """

    tokens: Int[Tensor, "hypothesis time"]
    log_probabilities: Float[Tensor, "hypothesis time"]
    weights: Float[Tensor, "hypothesis time position"]


@dataclass(frozen=True)
class _Step:
    inputs: Tensor
    choice: Choice
    weights: Tensor


class BackPointers:
    """One record per step."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []

    def add(self, inputs: Int[Tensor, " batch"], choice: Choice, weights: Float[Tensor, "batch rows position"]) -> None:
        """Record a step: the inputs of its batch, what was chosen, and the weights of the rows *before* it."""
        self._steps.append(_Step(inputs, choice, weights))

    def read(
        self, inputs: Int[Tensor, " hypothesis"], rows: Int[Tensor, " hypothesis"], lengths: Int[Tensor, " hypothesis"]
    ) -> Sequences:
        """Read hypotheses back from their ends.

        Args:
            inputs: int64 [hypothesis], the input of each.
            rows: int64 [hypothesis], its row after its last token.
            lengths: int64 [hypothesis], its number of tokens.
        """
        first = self._steps[0]
        shape = (len(inputs), int(lengths.max()))
        tokens = torch.zeros(shape, dtype=torch.long, device=inputs.device)
        log_probabilities = torch.zeros(shape, device=inputs.device)
        weights = first.weights.new_zeros(*shape, first.weights.shape[-1])
        rows = rows.clone()
        for t in reversed(range(shape[1])):
            step = self._steps[t]
            here = (lengths > t).nonzero().squeeze(1)
            # inputs leave in order, so those that remain stay sorted
            batch = torch.searchsorted(step.inputs, inputs[here])
            row = rows[here]
            parent = step.choice.parents[batch, row]
            tokens[here, t] = step.choice.tokens[batch, row]
            log_probabilities[here, t] = step.choice.log_probabilities[batch, row]
            weights[here, t] = step.weights[batch, parent]
            rows[here] = parent
        return Sequences(tokens, log_probabilities, weights)
