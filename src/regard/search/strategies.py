"""Choosers: which rows go on, with which token. A beam keeps the best, sampling draws.

**Beam** (Graves 2012; Sutskever et al. 2014 §3.2). Each input has ``beam`` places. At every step the best continuations
of all rows, the end among them, fill the places; a hypothesis that ended keeps its place for good, so the rows that go
on become fewer, as in Sutskever 2014. With one place this is greedy search exactly, whatever the length normalisation.

**Diverse groups** (Vijayakumar et al. 2018, eq. 3–4, Hamming diversity). The places are split into groups that choose
one after another; a word costs λ for each time an earlier group chose it at this step. The cost takes part in choosing
only: totals stay the model's log-probabilities.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from regard.search.active import Choice, Live
from regard.search.finished import Shortlist
from regard.search.options import SearchOptions, SpecialTokens
from regard.search.sampling import draw, keep_probable
from regard.search.step_scores import Scores
from regard.search.topk import best_continuations

_NEVER = float("-inf")


class Chooser(ABC):
    """Picks continuations.

    Attributes:
        first_rows: how many equal rows an input starts with.
        places: the most rows of an input.
        kept: how many hypotheses of an input are returned.
    """

    first_rows: int
    places: int
    kept: int

    @abstractmethod
    def choose(self, scores: Scores, live: Live) -> Choice:
        """Pick from log-probabilities, -inf where forbidden."""

    @abstractmethod
    def stuck(self, before: Live, after: Choice) -> Tensor:
        """bool [batch, rows]: rows of ``before`` that are lost although nothing took their place."""

    @abstractmethod
    def done(self, live: Live, shortlist: Shortlist) -> Tensor:
        """bool [batch]: inputs whose result can no longer change."""


class BeamChooser(Chooser):
    """The ``beam`` best continuations of each input, in ``groups``."""

    def __init__(self, options: SearchOptions, tokens: SpecialTokens, *, batch: int, device: torch.device) -> None:
        self.eos = tokens.eos
        self.groups = options.groups
        self.diversity = options.diversity
        self.width = options.beam // options.groups
        self.first_rows = options.groups
        self.places = options.beam
        self.kept = options.alternatives
        self._taken = torch.zeros(options.groups, batch, dtype=torch.long, device=device)

    def choose(self, scores: Scores, live: Live) -> Choice:
        if self.groups == 1:
            return self._choose(scores, scores, live.totals, live.inputs, 0)
        rows = live.totals.shape[1] // self.groups
        choices: list[Choice] = []
        for group in range(self.groups):
            columns = slice(group * rows, (group + 1) * rows)
            own = replace(scores, places=scores.places[:, columns])
            judged = self._judged(own, choices)
            choices.append(self._choose(own, judged, live.totals[:, columns], live.inputs, group))
        return Choice(
            torch.cat([choice.parents + group * rows for group, choice in enumerate(choices)], dim=1),
            torch.cat([choice.tokens for choice in choices], dim=1),
            torch.cat([choice.log_probabilities for choice in choices], dim=1),
            torch.cat([choice.totals for choice in choices], dim=1),
        )

    def stuck(self, before: Live, after: Choice) -> Tensor:
        return before.alive & ~after.alive.any(dim=1, keepdim=True)

    def done(self, live: Live, shortlist: Shortlist) -> Tensor:
        return shortlist.is_final(live)

    def _choose(self, scores: Scores, judged: Scores, totals: Tensor, inputs: Tensor, group: int) -> Choice:
        best, parents, tokens = best_continuations(judged, totals, self.width)
        log_probabilities = scores.values.take(scores.places.gather(1, parents) * scores.values.shape[1] + tokens)
        free = (self.width - self._taken[group].index_select(0, inputs)).unsqueeze(1)
        closed = torch.arange(best.shape[1], device=best.device) >= free
        new_totals = (totals.gather(1, parents) + log_probabilities).masked_fill_(closed, _NEVER)
        ended = (tokens == self.eos).logical_and_(new_totals > _NEVER).sum(dim=1)
        self._taken[group].index_add_(0, inputs, ended)
        return Choice(parents, tokens, log_probabilities, new_totals)

    def _judged(self, scores: Scores, earlier: list[Choice]) -> Scores:
        """The scores of a group less λ times how often earlier groups chose each word."""
        if not earlier or not self.diversity:
            return scores
        tokens = torch.cat([choice.tokens for choice in earlier], dim=1)
        said = torch.cat([choice.alive for choice in earlier], dim=1)
        counts = said.new_zeros(len(tokens), scores.values.shape[1], dtype=torch.float)
        penalty = counts.scatter_add_(1, tokens, said.float()).mul_(self.diversity)
        own = scores.values.index_select(0, scores.places.flatten()).view(*scores.places.shape, -1)
        return Scores.of_all(own.sub_(penalty.unsqueeze(1)))


class SampleChooser(Chooser):
    """One random continuation of every row.

    The uniform numbers of an input are drawn from its own generator, seeded by the seed and the input's number, so a
    sample does not depend on what else is in the batch.
    """

    def __init__(self, options: SearchOptions, *, numbers: Sequence[int], device: torch.device) -> None:
        assert options.samples is not None, "sampling needs a number of samples"
        self.first_rows = self.places = self.kept = options.samples
        self.options = options
        uniform = [_uniform(options, number) for number in numbers]
        self._uniform = torch.stack(uniform).to(device) if uniform else torch.empty(0, device=device)

    def choose(self, scores: Scores, live: Live) -> Choice:
        options, values = self.options, scores.values
        probable = keep_probable(values / options.temperature, top_k=options.top_k, top_p=options.top_p)
        drawn = draw(probable, scores.take(self._uniform[live.inputs, live.step]))
        tokens = scores.give(drawn)
        log_probabilities = scores.give(values.gather(1, drawn.unsqueeze(1)).squeeze(1))
        parents = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        return Choice(parents, tokens, log_probabilities, live.totals + log_probabilities)

    def stuck(self, before: Live, after: Choice) -> Tensor:
        return before.alive & ~after.alive

    def done(self, live: Live, shortlist: Shortlist) -> Tensor:
        return ~live.alive.any(dim=1)


def _uniform(options: SearchOptions, number: int) -> Tensor:
    """Uniform numbers in [0, 1) of one input, [max_length, samples]."""
    # odd multipliers spread neighbouring seeds and numbers over the whole range of the generator's seed
    seed = (options.seed * 0x9E3779B97F4A7C15 + number * 0xBF58476D1CE4E5B9) % 2**63
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(options.max_length, options.samples or 0, generator=generator)


def build_chooser(
    options: SearchOptions, tokens: SpecialTokens, *, numbers: Sequence[int], device: torch.device
) -> Chooser:
    """The chooser that ``options`` ask for, for inputs with these numbers."""
    if options.samples is not None:
        return SampleChooser(options, numbers=numbers, device=device)
    return BeamChooser(options, tokens, batch=len(numbers), device=device)
