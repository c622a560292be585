from __future__ import annotations

import pytest
import torch
from torch import Tensor

from regard.ops import additive
from regard.ops.additive import exp_keys, search_query_limit, search_scores
from regard.ops.packing import GroupedRows


def additive_scores_reference(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    return torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1)) @ v


def laid_out(counts: list[int]) -> GroupedRows:
    return GroupedRows.of(torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)), len(counts))


@pytest.mark.usefixtures("arithmetic")
@pytest.mark.parametrize("block", [1, 25, 10**6])
@pytest.mark.parametrize(
    ("batch", "rows", "positions", "dim"), [(3, 2, 5, 7), (1, 1, 1, 1), (5, 4, 1, 3), (2, 1, 9, 4)]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str)
def test_scores_equal_the_formula_up_to_a_constant_a_row(
    batch: int, rows: int, positions: int, dim: int, block: int, dtype: torch.dtype, tolerance: float, monkeypatch
) -> None:
    monkeypatch.setattr(additive, "SEARCH_BLOCK_ELEMENTS", block)
    generator = torch.Generator().manual_seed(batch)
    query = torch.randn(batch, rows, dim, generator=generator, dtype=dtype) * 3
    keys = torch.randn(batch, positions, dim, generator=generator, dtype=dtype) * 3
    v = torch.randn(dim, generator=generator, dtype=dtype)
    assert float(query.abs().amax()) < search_query_limit(keys)
    expected = additive_scores_reference(query, keys, v)
    found = search_scores(query.flatten(0, 1), exp_keys(keys), v, GroupedRows.full(batch, rows)) - v.sum()
    torch.testing.assert_close(found.view_as(expected), expected, atol=tolerance, rtol=tolerance)
    counts = [number % (rows + 1) for number in range(batch)]
    some = torch.arange(rows) < torch.tensor(counts).unsqueeze(1)
    found = search_scores(query[some], exp_keys(keys), v, laid_out(counts)) - v.sum()
    torch.testing.assert_close(found, expected[some], atol=tolerance, rtol=tolerance)


@pytest.mark.usefixtures("arithmetic")
def test_exponentials_at_the_limit_are_finite() -> None:
    keys = torch.full((1, 1, 2), 30.0)
    edge = search_query_limit(keys)
    for sign in (1, -1):
        query = torch.full((1, 1, 2), sign * edge)
        for key in (keys, -keys):
            scores = search_scores(query[0], exp_keys(key), torch.ones(2), GroupedRows.full(1, 1)) - 2
            torch.testing.assert_close(scores, additive_scores_reference(query, key, torch.ones(2))[0])
    assert search_query_limit(torch.full((1, 1, 1), 45.0)) < 0


def test_under_autocast_scores_are_float32() -> None:
    generator = torch.Generator().manual_seed(1)
    query, keys = (torch.randn(2, 3, 4, generator=generator).bfloat16() for _ in range(2))
    v = torch.randn(4, generator=generator)
    assert search_query_limit(keys) == search_query_limit(keys.float())
    with torch.autocast("cpu", torch.bfloat16):
        found = search_scores(query.flatten(0, 1), exp_keys(keys), v, GroupedRows.full(2, 3)) - v.sum()
    expected = additive_scores_reference(query.float(), keys.float(), v)
    torch.testing.assert_close(found.view_as(expected), expected, atol=1e-5, rtol=1e-5)
