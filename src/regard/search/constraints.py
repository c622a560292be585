"""Filters: what may not be said next. A filter sets forbidden scores to -inf, in place, and costs nothing when unused.

Scores are the model's own log-probabilities; forbidding a word does not raise the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from regard.errors import ConfigError
from regard.search.active import Live
from regard.search.options import SearchOptions, SpecialTokens
from regard.search.step_scores import Scores

Filter = Callable[[Scores, Live], None]
"""Changes the values of scores in place."""

_NEVER = float("-inf")


class Forbidden:
    """Tokens that are never said."""

    def __init__(self, tokens: Sequence[int], *, device: torch.device) -> None:
        self.tokens = torch.tensor(tokens, dtype=torch.long, device=device)

    def __call__(self, scores: Scores, live: Live) -> None:
        scores.values.index_fill_(1, self.tokens, _NEVER)


class MinimumLength:
    """No end before ``length`` words."""

    def __init__(self, length: int, *, eos: int) -> None:
        self.length = length
        self.eos = eos

    def __call__(self, scores: Scores, live: Live) -> None:
        if live.step < self.length:
            scores.values[:, self.eos] = _NEVER


class NoEndAfter:
    """No end right after one of ``tokens``."""

    def __init__(self, tokens: Sequence[int], *, eos: int, device: torch.device) -> None:
        self.tokens = torch.tensor(tokens, dtype=torch.long, device=device)
        self.eos = eos

    def __call__(self, scores: Scores, live: Live) -> None:
        dangling = torch.isin(scores.take(live.tokens), self.tokens)
        scores.values[:, self.eos].masked_fill_(dangling, _NEVER)


class NoRepeat:
    """No n-gram twice in one hypothesis; a forced prefix counts as said."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, scores: Scores, live: Live) -> None:
        assert live.said is not None, "this filter needs the words said so far"
        if live.step < self.size:
            return
        said = scores.take(live.said)
        grams = said.unfold(1, self.size, 1)
        ending = said[:, live.step - self.size + 1 :].unsqueeze(1)
        begun = (grams[..., :-1] == ending).all(dim=-1)
        # a gram that was not begun forbids nothing: it gets 0 instead of -inf
        penalty = torch.zeros_like(begun, dtype=scores.values.dtype).masked_fill(begun, _NEVER)
        scores.values.scatter_add_(1, grams[..., -1], penalty)


class Prefix:
    """The first words of each input are given; until they are said, other filters have no say.

    Args:
        prefixes: token ids, one sequence per input of the whole batch; empty for none.
        others: the filters that rule after the prefix.
    """

    def __init__(self, prefixes: Sequence[Sequence[int]], others: list[Filter], *, device: torch.device) -> None:
        self.others = others
        self.lengths = torch.tensor([len(prefix) for prefix in prefixes], device=device)
        self.longest = max(len(prefix) for prefix in prefixes)
        padded = [[*prefix, *[0] * (self.longest - len(prefix))] for prefix in prefixes]
        self.tokens = torch.tensor(padded, dtype=torch.long, device=device)

    def __call__(self, scores: Scores, live: Live) -> None:
        if live.step >= self.longest:
            self._filter(scores, live)
            return
        values = scores.values
        inputs = scores.take(live.inputs.unsqueeze(1).expand_as(live.totals))
        forced = (self.lengths[inputs] > live.step).unsqueeze(1)
        token = self.tokens[inputs, live.step].unsqueeze(1)
        given = values.gather(1, token)
        self._filter(scores, live)
        values.masked_fill_(forced, _NEVER)
        values.scatter_(1, token, torch.where(forced, given, values.gather(1, token)))

    def _filter(self, scores: Scores, live: Live) -> None:
        for each in self.others:
            each(scores, live)


def build_filters(
    options: SearchOptions,
    tokens: SpecialTokens,
    *,
    prefixes: Sequence[Sequence[int]] | None,
    device: torch.device,
) -> list[Filter]:
    """The filters that ``options`` ask for, in the order in which they apply."""
    filters: list[Filter] = []
    if tokens.forbidden:
        filters.append(Forbidden(tokens.forbidden, device=device))
    if options.min_length:
        filters.append(MinimumLength(options.min_length, eos=tokens.eos))
    if tokens.never_last:
        filters.append(NoEndAfter(tokens.never_last, eos=tokens.eos, device=device))
    if options.no_repeat is not None:
        filters.append(NoRepeat(options.no_repeat))
    if prefixes is not None and any(prefixes):
        return [Prefix(prefixes, filters, device=device)]
    return filters


def check_prefixes(
    prefixes: Sequence[Sequence[int]], options: SearchOptions, tokens: SpecialTokens, *, vocabulary_size: int
) -> None:
    """Refuse prefixes that cannot be said.

    Raises:
        ConfigError: a prefix that leaves no room for a word, holds the end, or an id outside the vocabulary.
    """
    for prefix in prefixes:
        if len(prefix) >= options.max_length:
            raise ConfigError(
                f"a prefix of {len(prefix)} tokens fills max_length {options.max_length}",
                remedy="shorten the prefix or raise max_length",
            )
        strange = [token for token in prefix if not 0 <= token < vocabulary_size or token == tokens.eos]
        if strange:
            raise ConfigError(
                f"a prefix holds the token {strange[0]}",
                allowed=f"ids from 0 to {vocabulary_size - 1} other than the end, {tokens.eos}",
            )
