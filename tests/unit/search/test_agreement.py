"""What a search reports before it ends is what its best hypothesis begins with."""

from __future__ import annotations

from collections import defaultdict
from types import ModuleType
from typing import Any

import pytest
import torch

from regard.search import SearchOptions, search

NUM_INPUTS, MAX_LENGTH = 30, 8


def reported(toy: ModuleType, seed: int = 0, **options: Any) -> tuple[dict[int, list[Any]], list[list[Any]]]:
    """The prefixes that were reported of each input, and what the search then found."""
    decoder = toy.ToyDecoder(inputs=NUM_INPUTS, steps=MAX_LENGTH, vocabulary_size=6, seed=seed, scale=1.5)
    prefixes = defaultdict(list)
    found = search(
        decoder,
        toy.inputs_of(list(range(NUM_INPUTS))),
        SearchOptions(max_length=MAX_LENGTH, **options),
        tokens=toy.TOKENS,
        on_agreed=lambda number, prefix: prefixes[number].append(prefix),
    )
    return prefixes, found


@pytest.mark.parametrize(
    "options",
    [
        {"beam": 1},
        {"beam": 3},
        {"beam": 5, "length_normalisation": 0.0, "alternatives": 5},
        {"beam": 4, "length_normalisation": 2.0, "no_repeat": 1},
        {"beam": 4, "groups": 2},
        {"samples": 3},
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_prefix_is_that_of_the_best_hypothesis(toy: ModuleType, options: dict[str, Any], seed: int) -> None:
    prefixes, found = reported(toy, seed, **options)
    for number, (best, *_) in enumerate(found):
        lengths = [len(each.tokens) for each in prefixes[number]]
        assert lengths == sorted(lengths)
        for prefix in prefixes[number]:
            length = len(prefix.tokens)
            assert prefix.tokens == best.tokens[:length]
            assert prefix.log_probabilities == pytest.approx(best.log_probabilities[:length], abs=1e-6)
            assert torch.equal(prefix.weights, best.weights[:length])


def test_greedy_search_reports_every_token_at_once(toy: ModuleType) -> None:
    prefixes, found = reported(toy, beam=1)
    for number, (best,) in enumerate(found):
        assert [len(each.tokens) for each in prefixes[number]][: len(best.tokens)] == [*range(1, len(best.tokens) + 1)]


def test_a_beam_reports_tokens_before_its_end(toy: ModuleType) -> None:
    prefixes, found = reported(toy, beam=3)
    early = [number for number, (best,) in enumerate(found) if any(each.tokens for each in prefixes[number][:-1])]
    assert len(early) > NUM_INPUTS / 2
