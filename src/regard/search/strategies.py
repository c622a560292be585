"""Strategies: which rows go on, with which token. Beam search keeps the best, sampling draws.

**Beam search** (Graves 2012; Sutskever et al. 2014 §3.2). Each input has a beam of ``beam`` hypotheses. At every step
the best continuations of all rows, the end among them, fill it; a hypothesis that ended keeps its place for good, so
the rows that go on become fewer, as in Sutskever 2014. With a beam of one this is greedy search exactly, whatever the
length normalisation.

**Diverse beam search** (Vijayakumar et al. 2018, eq. 3–4, Hamming diversity). The beam is split into groups that choose
one after another; a token costs λ for each time an earlier group chose it at this step. The cost takes part in choosing
only: totals stay the model's log-probabilities.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regard.search.active import ActiveHypotheses, Choice
from regard.search.backpointers import BackPointers
from regard.search.finished import FinishedHypotheses
from regard.search.options import SearchOptions, SpecialTokens
from regard.search.sampling import filter_top, sample_index
from regard.search.step_scores import StepScores
from regard.search.topk import best_continuations

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

_NEVER = float("-inf")


class Strategy(ABC):
    """Chooses continuations, and records what it needs of every step.

    Attributes:
        first_rows: number of equal rows that an input starts with.
    """

    first_rows: int

    @abstractmethod
    def choose(self, scores: StepScores, active: ActiveHypotheses) -> Choice:
        """Choose by log-probabilities, -inf where forbidden."""

    @abstractmethod
    def record(self, before: ActiveHypotheses, choice: Choice, weights: Float[Tensor, "batch rows position"]) -> None:
        """Record a step: the rows before it, what was chosen, and the weights of the rows before."""

    @abstractmethod
    def done(self, active: ActiveHypotheses) -> Bool[Tensor, " batch"]:
        """bool [batch]: inputs whose result can no longer change."""


class RankingStrategy(Strategy):
    """A strategy that returns ranked hypotheses.

    Args:
        options: of the search.
        tokens: begin and end.
        batch: number of inputs.
        first_rows: number of equal rows that an input starts with.
        capacity: the most rows of an input.
        num_returned: number of hypotheses of an input that are returned.
    """

    def __init__(
        self,
        options: SearchOptions,
        tokens: SpecialTokens,
        *,
        batch: int,
        first_rows: int,
        capacity: int,
        num_returned: int,
        device: torch.device,
    ) -> None:
        self.options, self.eos, self.first_rows = options, tokens.eos, first_rows
        self.back_pointers = BackPointers()
        self.finished = FinishedHypotheses(
            batch,
            capacity=capacity,
            num_returned=num_returned,
            alpha=options.length_normalisation,
            max_length=options.max_length,
            device=device,
        )

    def record(self, before: ActiveHypotheses, choice: Choice, weights: Float[Tensor, "batch rows position"]) -> None:
        self.back_pointers.add(before.inputs, choice, weights)
        ended = (choice.tokens == self.eos) & choice.is_active
        self.finished.add(ended, before, rows=choice.parents, totals=choice.totals, finished=True)
        self.add_unfinished(before, self.dead_ends(before, choice))

    def add_unfinished(self, active: ActiveHypotheses, chosen: Tensor) -> None:
        """Keep some rows (bool [batch, rows]) as unfinished hypotheses."""
        rows = torch.arange(active.totals.shape[1], device=active.totals.device).expand_as(active.totals)
        self.finished.add(chosen, active, rows=rows, totals=active.totals, finished=False)

    @abstractmethod
    def dead_ends(self, before: ActiveHypotheses, choice: Choice) -> Bool[Tensor, "batch rows"]:
        """bool [batch, rows]: rows of ``before`` that no token can continue."""


class BeamSearch(RankingStrategy):
    """The ``beam`` best continuations of each input, in ``groups``."""

    def __init__(self, options: SearchOptions, tokens: SpecialTokens, *, batch: int, device: torch.device) -> None:
        super().__init__(
            options,
            tokens,
            batch=batch,
            first_rows=options.groups,
            capacity=options.beam,
            num_returned=options.alternatives,
            device=device,
        )
        self.width = options.beam // options.groups
        self._num_finished = torch.zeros(options.groups, batch, dtype=torch.long, device=device)

    def choose(self, scores: StepScores, active: ActiveHypotheses) -> Choice:
        groups = self.options.groups
        if groups == 1:
            return self._choose(scores, scores, active.totals, active.inputs, 0)
        rows = active.totals.shape[1] // groups
        choices: list[Choice] = []
        for group in range(groups):
            columns = slice(group * rows, (group + 1) * rows)
            own = replace(scores, row_index=scores.row_index[:, columns])
            penalised = self._penalised(own, choices)
            choices.append(self._choose(own, penalised, active.totals[:, columns], active.inputs, group))
        return Choice(
            torch.cat([choice.parents + group * rows for group, choice in enumerate(choices)], dim=1),
            torch.cat([choice.tokens for choice in choices], dim=1),
            torch.cat([choice.log_probabilities for choice in choices], dim=1),
            torch.cat([choice.totals for choice in choices], dim=1),
        )

    def dead_ends(self, before: ActiveHypotheses, choice: Choice) -> Bool[Tensor, "batch rows"]:
        return before.is_active & ~choice.is_active.any(dim=1, keepdim=True)

    def done(self, active: ActiveHypotheses) -> Bool[Tensor, " batch"]:
        return self.finished.is_final(active)

    def _choose(self, scores: StepScores, penalised: StepScores, totals: Tensor, inputs: Tensor, group: int) -> Choice:
        # 1. the best continuations
        best, parents, tokens = best_continuations(penalised, totals, self.width)
        index = scores.row_index.gather(1, parents) * scores.values.shape[1] + tokens
        log_probabilities = scores.values.take(index)
        # 2. as many of them as the beam has places left
        free = (self.width - self._num_finished[group].index_select(0, inputs)).unsqueeze(1)
        full = torch.arange(best.shape[1], device=best.device) >= free
        new_totals = (totals.gather(1, parents) + log_probabilities).masked_fill_(full, _NEVER)
        # 3. those that end keep their places
        ended = (tokens == self.eos).logical_and_(new_totals > _NEVER).sum(dim=1)
        self._num_finished[group].index_add_(0, inputs, ended)
        return Choice(parents, tokens, log_probabilities, new_totals)

    def _penalised(self, scores: StepScores, earlier: list[Choice]) -> StepScores:
        """The scores of a group less λ times the number of earlier groups that chose each token."""
        if not earlier or not self.options.diversity:
            return scores
        tokens = torch.cat([choice.tokens for choice in earlier], dim=1)
        is_active = torch.cat([choice.is_active for choice in earlier], dim=1)
        counts = is_active.new_zeros(len(tokens), scores.values.shape[1], dtype=torch.float)
        penalty = counts.scatter_add_(1, tokens, is_active.float()).mul_(self.options.diversity)
        own = scores.values.index_select(0, scores.row_index.flatten()).view(*scores.row_index.shape, -1)
        return StepScores.of_all(own.sub_(penalty.unsqueeze(1)))


class Sampling(RankingStrategy):
    """One random continuation of every row.

    The uniform numbers of an input are drawn from its own generator, seeded by the seed and the input's number, so a
    sample does not depend on what else is in the batch.
    """

    def __init__(
        self, options: SearchOptions, tokens: SpecialTokens, *, numbers: Sequence[int], device: torch.device
    ) -> None:
        assert options.samples is not None, "sampling needs a number of samples"
        count = options.samples
        super().__init__(
            options,
            tokens,
            batch=len(numbers),
            first_rows=count,
            capacity=count,
            num_returned=count,
            device=device,
        )
        uniform = [_uniform(options, number) for number in numbers]
        self._uniform = torch.stack(uniform).to(device) if uniform else torch.empty(0, device=device)

    def choose(self, scores: StepScores, active: ActiveHypotheses) -> Choice:
        options = self.options
        filtered = filter_top(scores.values / options.temperature, top_k=options.top_k, top_p=options.top_p)
        uniform = scores.gather_active(self._uniform[active.inputs, active.step])
        return continue_every_row(scores, active, sample_index(filtered, uniform))

    def dead_ends(self, before: ActiveHypotheses, choice: Choice) -> Bool[Tensor, "batch rows"]:
        return before.is_active & ~choice.is_active

    def done(self, active: ActiveHypotheses) -> Bool[Tensor, " batch"]:
        return ~active.is_active.any(dim=1)


def continue_every_row(scores: StepScores, active: ActiveHypotheses, sampled: Int[Tensor, " active"]) -> Choice:
    """The choice of one token (int64 [active]) for every row."""
    tokens = scores.scatter_active(sampled)
    log_probabilities = scores.scatter_active(scores.values.gather(1, sampled.unsqueeze(1)).squeeze(1))
    parents = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    return Choice(parents, tokens, log_probabilities, active.totals + log_probabilities)


def _uniform(options: SearchOptions, number: int) -> Tensor:
    """Uniform numbers in [0, 1) of one input, [max_length, samples]."""
    # odd multipliers spread neighbouring seeds and numbers over the whole range of the generator's seed
    seed = (options.seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9) % 2**63
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(options.max_length, options.samples or 0, generator=generator)


def build_strategy(
    options: SearchOptions, tokens: SpecialTokens, *, numbers: Sequence[int], device: torch.device
) -> RankingStrategy:
    """The strategy that ``options`` ask for, for inputs with these numbers."""
    if options.samples is not None:
        return Sampling(options, tokens, numbers=numbers, device=device)
    return BeamSearch(options, tokens, batch=len(numbers), device=device)
