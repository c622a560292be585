"""Every sample once, in an order that is a function of (seed, epoch), within its budget."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.data.batching import (
    assemble_captions,
    bucketed_batches,
    epoch_order,
    pad_sources,
)
from regard.text.vocabulary import BOS, EOS, PAD

lengths = st.lists(st.integers(1, 40), max_size=60)
seeds = st.integers(0, 1000)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 200), seeds, seeds)
def test_epoch_order_is_a_permutation_and_pure(count: int, seed: int, epoch: int) -> None:
    order = epoch_order(count, seed=seed, epoch=epoch)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(count))
    np.random.default_rng().random(3)
    np.testing.assert_array_equal(order, epoch_order(count, seed=seed, epoch=epoch))


def test_epoch_order_is_the_same_on_every_machine() -> None:
    assert epoch_order(8, seed=1, epoch=2).tolist() == [5, 6, 3, 2, 1, 0, 4, 7]
    assert epoch_order(50, seed=1, epoch=2).tolist() != epoch_order(50, seed=1, epoch=3).tolist()
    assert epoch_order(50, seed=1, epoch=2).tolist() != epoch_order(50, seed=2, epoch=1).tolist()


@settings(max_examples=80, deadline=None)
@given(lengths, seeds, seeds, st.integers(1, 9) | st.none(), st.integers(1, 120))
def test_batches_hold_every_sample_once_within_the_budget(
    sizes: list[int], seed: int, epoch: int, batch_size: int | None, max_tokens: int
) -> None:
    batches = bucketed_batches(sizes, seed=seed, epoch=epoch, batch_size=batch_size, max_tokens=max_tokens)
    assert sorted(i for batch in batches for i in batch.tolist()) == list(range(len(sizes)))
    for batch in batches:
        longest = max(sizes[i] for i in batch)
        assert len(batch) == 1 or longest * len(batch) <= max_tokens
        assert batch_size is None or len(batch) <= batch_size
        assert [sizes[i] for i in batch] == sorted((sizes[i] for i in batch), reverse=True)
    again = bucketed_batches(sizes, seed=seed, epoch=epoch, batch_size=batch_size, max_tokens=max_tokens)
    assert [batch.tolist() for batch in again] == [batch.tolist() for batch in batches]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=40), seeds)
def test_budget_holds_on_the_longer_side(sizes: list[tuple[int, int]], seed: int) -> None:
    batches = bucketed_batches(sizes, seed=seed, epoch=0, max_tokens=60)
    assert sorted(i for batch in batches for i in batch.tolist()) == list(range(len(sizes)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(max(sizes[i]) for i in batch) <= 60


def test_an_over_long_sample_makes_a_batch_of_its_own() -> None:
    batches = bucketed_batches([3, 500, 3, 3], seed=0, epoch=0, max_tokens=10)
    assert [1] in [batch.tolist() for batch in batches]
    assert sorted(len(batch) for batch in batches) == [1, 3]


def test_epochs_mix_samples_of_equal_length_and_batches() -> None:
    sizes = [5] * 40 + [9] * 40
    first, second = (bucketed_batches(sizes, seed=3, epoch=epoch, batch_size=8) for epoch in (0, 1))
    assert {tuple(sorted(batch)) for batch in first} != {tuple(sorted(batch)) for batch in second}
    longest = [max(sizes[i] for i in batch) for batch in first]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


def test_padding_is_small() -> None:
    sizes = np.random.default_rng(0).integers(4, 40, size=2000)
    batches = bucketed_batches(sizes, seed=0, epoch=0, batch_size=40)
    assert sizes.sum() / sum(len(batch) * sizes[batch].max() for batch in batches) > 0.95


def test_no_samples_no_batches() -> None:
    assert bucketed_batches([], seed=0, epoch=0, batch_size=3) == []


def test_captions_are_laid_out_longest_first() -> None:
    batch = assemble_captions([[[7], [8, 9]], [[4, 5, 6], [], [4]], [[]]])
    assert batch.order.tolist() == [1, 0, 2]
    assert batch.lengths.tolist() == [[4, 2, 1], [3, 2, 0], [1, 0, 0]]
    assert batch.tokens[0].tolist() == [[BOS, 4, 5, 6], [BOS, 4, PAD, PAD], [BOS, PAD, PAD, PAD]]
    assert batch.targets[0].tolist() == [[4, 5, 6, EOS], [4, EOS, PAD, PAD], [EOS, PAD, PAD, PAD]]
    assert batch.targets[1, 2].tolist() == batch.tokens[1, 2].tolist() == [PAD] * 4
    assert batch.num_tokens == 13
    assert len(batch) == 3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.lists(st.integers(4, 99), max_size=9), min_size=1, max_size=5), min_size=1, max_size=6))
def test_layout_loses_nothing_and_unrolls_in_leading_blocks(captions: list[list[list[int]]]) -> None:
    batch = assemble_captions(captions)
    _, rows, _ = batch.tokens.shape
    for place, image in enumerate(batch.order.tolist()):
        written = []
        for row in range(rows):
            length = int(batch.lengths[place, row])
            if length:
                assert batch.targets[place, row, length - 1] == EOS
                assert batch.tokens[place, row, 0] == BOS
                torch.testing.assert_close(batch.tokens[place, row, 1:length], batch.targets[place, row, : length - 1])
                written.append(batch.targets[place, row, : length - 1].tolist())
            assert not batch.targets[place, row, length:].any()
        assert sorted(written) == sorted(captions[image])
    longest = batch.lengths.amax(dim=1).tolist()
    assert longest == sorted(longest, reverse=True)


def test_source_without_a_position_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="eos"):
        pad_sources([[5], []])
