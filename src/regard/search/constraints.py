"""Constraints: which tokens are forbidden.

A constraint sets their scores to -inf, in place; one that is unused costs nothing.

Scores are the model's own log-probabilities; forbidding a token does not raise the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from regard.errors import ConfigError
from regard.search.active import ActiveHypotheses
from regard.search.options import SearchOptions, SpecialTokens
from regard.search.step_scores import StepScores

Constraint = Callable[[StepScores, ActiveHypotheses], None]
"""Changes the values of scores in place."""

_NEVER = float("-inf")


class ForbiddenTokens:
    """Tokens that are never possible."""

    def __init__(self, tokens: Sequence[int], *, device: torch.device) -> None:
        self.tokens = torch.tensor(tokens, dtype=torch.long, device=device)

    def __call__(self, scores: StepScores, hypotheses: ActiveHypotheses) -> None:
        scores.values.index_fill_(1, self.tokens, _NEVER)


class MinimumLength:
    """No end before ``length`` tokens."""

    def __init__(self, length: int, *, eos: int) -> None:
        self.length = length
        self.eos = eos

    def __call__(self, scores: StepScores, hypotheses: ActiveHypotheses) -> None:
        if hypotheses.step < self.length:
            scores.values[:, self.eos] = _NEVER


class NoEndAfter:
    """No end right after one of ``tokens``."""

    def __init__(self, tokens: Sequence[int], *, eos: int, device: torch.device) -> None:
        self.tokens = torch.tensor(tokens, dtype=torch.long, device=device)
        self.eos = eos

    def __call__(self, scores: StepScores, hypotheses: ActiveHypotheses) -> None:
        dangling = torch.isin(scores.gather_active(hypotheses.tokens), self.tokens)
        scores.values[:, self.eos].masked_fill_(dangling, _NEVER)


class NoRepeat:
    """No n-gram twice in one hypothesis; a forced prefix counts."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, scores: StepScores, hypotheses: ActiveHypotheses) -> None:
        assert hypotheses.history is not None, "this constraint needs the history"
        if hypotheses.step < self.size:
            return
        history = scores.gather_active(hypotheses.history)
        grams = history.unfold(1, self.size, 1)
        ending = history[:, hypotheses.step - self.size + 1 :].unsqueeze(1)
        matches = (grams[..., :-1] == ending).all(dim=-1)
        # a gram that does not match forbids nothing: it gets 0 instead of -inf
        penalty = torch.zeros_like(matches, dtype=scores.values.dtype).masked_fill(matches, _NEVER)
        scores.values.scatter_add_(1, grams[..., -1], penalty)


class Prefix:
    """The first tokens of each input are given; until they end, other constraints do not apply.

    Args:
        prefixes: token ids, one sequence per input of the whole batch; empty for none.
        others: the constraints that apply after the prefix.
    """

    def __init__(self, prefixes: Sequence[Sequence[int]], others: list[Constraint], *, device: torch.device) -> None:
        self.others = others
        self.lengths = torch.tensor([len(prefix) for prefix in prefixes], device=device)
        self.longest = max(len(prefix) for prefix in prefixes)
        padded = [[*prefix, *[0] * (self.longest - len(prefix))] for prefix in prefixes]
        self.tokens = torch.tensor(padded, dtype=torch.long, device=device)

    def __call__(self, scores: StepScores, hypotheses: ActiveHypotheses) -> None:
        if hypotheses.step >= self.longest:
            self._apply_others(scores, hypotheses)
            return
        values = scores.values
        inputs = scores.gather_active(hypotheses.inputs.unsqueeze(1).expand_as(hypotheses.totals))
        is_forced = (self.lengths[inputs] > hypotheses.step).unsqueeze(1)
        token = self.tokens[inputs, hypotheses.step].unsqueeze(1)
        given = values.gather(1, token)
        self._apply_others(scores, hypotheses)
        values.masked_fill_(is_forced, _NEVER)
        values.scatter_(1, token, torch.where(is_forced, given, values.gather(1, token)))

    def _apply_others(self, scores: StepScores, hypotheses: ActiveHypotheses) -> None:
        for each in self.others:
            each(scores, hypotheses)


def build_constraints(
    options: SearchOptions,
    tokens: SpecialTokens,
    *,
    prefixes: Sequence[Sequence[int]] | None,
    device: torch.device,
) -> list[Constraint]:
    """The constraints that ``options`` ask for, in the order in which they apply."""
    constraints: list[Constraint] = []
    if tokens.forbidden:
        constraints.append(ForbiddenTokens(tokens.forbidden, device=device))
    if options.min_length:
        constraints.append(MinimumLength(options.min_length, eos=tokens.eos))
    if tokens.never_last:
        constraints.append(NoEndAfter(tokens.never_last, eos=tokens.eos, device=device))
    if options.no_repeat is not None:
        constraints.append(NoRepeat(options.no_repeat))
    if prefixes is not None and any(prefixes):
        return [Prefix(prefixes, constraints, device=device)]
    return constraints


def check_prefixes(
    prefixes: Sequence[Sequence[int]], options: SearchOptions, tokens: SpecialTokens, *, vocabulary_size: int
) -> None:
    """Refuse prefixes that cannot be generated.

    Raises:
        ConfigError: a prefix that leaves no room for a token, holds the end, or an id outside the vocabulary.
    """
    for prefix in prefixes:
        if len(prefix) >= options.max_length:
            raise ConfigError(
                f"a prefix of {len(prefix)} tokens fills max_length {options.max_length}",
                remedy="shorten the prefix or raise max_length",
            )
        invalid = [token for token in prefix if not 0 <= token < vocabulary_size or token == tokens.eos]
        if invalid:
            raise ConfigError(
                f"a prefix holds the token {invalid[0]}",
                allowed=f"ids from 0 to {vocabulary_size - 1} other than the end, {tokens.eos}",
            )
