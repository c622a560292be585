"""The best continuations, found without looking at every word twice, are those of a full sort."""

from __future__ import annotations

import pytest
import torch

from regard.attention import Memory
from regard.decoders.base import State
from regard.fast.search.beam_state import ActiveStep
from regard.search import topk
from regard.search.step_scores import StepScores
from regard.search.topk import best_continuations


@pytest.mark.parametrize("block", [1, 3, 64])
@pytest.mark.parametrize(
    ("batch", "rows", "size", "count"), [(3, 5, 1003, 5), (1, 1, 200, 4), (4, 2, 7, 6), (2, 3, 2, 9)]
)
def test_they_are_the_first_of_a_full_sort(batch, rows, size, count, block, monkeypatch):
    monkeypatch.setattr(topk, "BLOCK", block)
    generator = torch.Generator().manual_seed(size)
    scores = torch.randn(batch, rows, size, generator=generator)
    scores[0, 0, : size // 2] = float("-inf")
    totals = torch.randn(batch, rows, generator=generator)
    sums = (scores + totals.unsqueeze(-1)).flatten(1)
    expected, places = sums.sort(dim=1, descending=True)
    best, row, word = best_continuations(StepScores.of_all(scores), totals, count)
    width = min(count, rows * size)
    assert torch.equal(best, expected[:, :width])
    assert torch.equal(row, places[:, :width] // size)
    assert torch.equal(word, places[:, :width] % size)


def test_where_nothing_is_left_indices_are_still_words():
    scores = torch.full((2, 3, 130), float("-inf"))
    scores[0, 1, 129] = -1.0
    totals = torch.tensor([[0.0, -2.0, 0.0], [float("-inf")] * 3])
    best, row, word = best_continuations(StepScores.of_all(scores), totals, 4)
    assert best[0].tolist() == [-3.0, *[float("-inf")] * 3]
    assert (int(row[0, 0]), int(word[0, 0])) == (1, 129)
    assert int(word.max()) < 130
    assert int(row.max()) < 3


def test_of_equal_continuations_as_many_are_found_as_are_asked_for():
    best, row, word = best_continuations(StepScores.of_all(torch.zeros(1, 4, 500)), torch.zeros(1, 4), 5)
    assert best.tolist() == [[0.0] * 5]
    assert len(set(zip(row[0].tolist(), word[0].tolist(), strict=True))) == 5


@pytest.mark.parametrize("size", [7, 1003])
def test_empty_rows_need_no_scores(size):
    generator = torch.Generator().manual_seed(size)
    scores = torch.randn(3, 4, size, generator=generator)
    totals = torch.randn(3, 4, generator=generator)
    totals[0, [0, 2]] = totals[1] = totals[2, 3] = float("-inf")
    active = (totals > float("-inf")).flatten().nonzero().squeeze(1)
    step = ActiveStep(scores.flatten(0, 1)[active], State(Memory(scores, scores), {}), scores, active=active)
    few = StepScores.of(step, 3, 4)
    best, row, word = best_continuations(few, totals, 5)
    expected, places = (scores.log_softmax(dim=-1) + totals.unsqueeze(-1)).flatten(1).sort(dim=1, descending=True)
    torch.testing.assert_close(best, expected[:, :5])
    for each in (0, 2):
        assert row[each].tolist() == (places[each, :5] // size).tolist()
        assert word[each].tolist() == (places[each, :5] % size).tolist()
    assert torch.equal(few.gather_active(totals), totals.flatten()[active])
    assert torch.equal(few.scatter_active(few.gather_active(totals)), totals.masked_fill(totals == float("-inf"), 0))
