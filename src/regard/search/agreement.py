"""The stable prefix of a search: the tokens with which every hypothesis begins that may still turn out the best.

These hypotheses are the active ones that can still win, and the best of those that ended. Whatever the search returns
first continues one of them, so it begins with their longest common prefix, which can be shown before the search ends.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from regard.search.active import ActiveHypotheses
from regard.search.backpointers import Hypothesis
from regard.search.strategies import RankingStrategy


def agreed_prefixes(strategy: RankingStrategy, active: ActiveHypotheses) -> Iterator[tuple[int, Hypothesis]]:
    """Each input with the stable prefix of its best hypothesis, as an unfinished hypothesis.

    Args:
        strategy: after a step.
        active: the hypotheses after it.

    Yields:
        The index of an input in the batch, and the prefix; its weights are over all positions, padding too.
    """
    batch, rows = (active.is_active & strategy.finished.can_be_best(active)).nonzero(as_tuple=True)
    ended = strategy.finished.best()
    best = ended.inputs.diff(prepend=ended.inputs.new_tensor([-1])) != 0
    inputs = torch.cat([active.inputs[batch], ended.inputs[best]])
    lengths = torch.cat([torch.full_like(rows, active.step), ended.lengths[best]])
    sequences = strategy.back_pointers.read(inputs, torch.cat([rows, ended.rows[best]]), lengths)
    for number in sorted(set(inputs.tolist())):
        own = (inputs == number).nonzero().squeeze(1)
        tokens = sequences.tokens[own, : int(lengths[own].min())]
        length = int((tokens == tokens[0]).all(dim=0).int().cumprod(dim=0).sum())
        log_probabilities = tuple(sequences.log_probabilities[own[0], :length].tolist())
        total = sum(log_probabilities)
        yield (
            number,
            Hypothesis(
                tokens=tuple(tokens[0, :length].tolist()),
                log_probabilities=log_probabilities,
                log_probability=total,
                score=total,
                weights=sequences.weights[own[0], :length].float().clone(),
                finished=False,
            ),
        )
