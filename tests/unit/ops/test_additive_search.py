from __future__ import annotations

import pytest
import torch

from regard.ops import additive_search as looking
from regard.ops.additive import additive_scores_reference
from regard.ops.additive_search import additive_looks, key_powers, mix_looks, powers_fit
from regard.ops.packing import Rows


def laid_out(counts: list[int]) -> Rows:
    return Rows.of(torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)), len(counts))


@pytest.mark.usefixtures("arithmetic")
@pytest.mark.parametrize("block", [1, 25, 10**6])
@pytest.mark.parametrize(
    ("batch", "rows", "positions", "dim"), [(3, 2, 5, 7), (1, 1, 1, 1), (5, 4, 1, 3), (2, 1, 9, 4)]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str)
def test_looks_equal_the_formula_up_to_a_number_a_row(
    batch: int, rows: int, positions: int, dim: int, block: int, dtype: torch.dtype, tolerance: float, monkeypatch
) -> None:
    monkeypatch.setattr(looking, "BLOCK_NUMBERS", block)
    generator = torch.Generator().manual_seed(batch)
    query = torch.randn(batch, rows, dim, generator=generator, dtype=dtype) * 3
    keys = torch.randn(batch, positions, dim, generator=generator, dtype=dtype) * 3
    v = torch.randn(dim, generator=generator, dtype=dtype)
    assert float(query.abs().amax()) < powers_fit(keys)
    expected = additive_scores_reference(query, keys, v)
    found = additive_looks(query.flatten(0, 1), key_powers(keys), v, Rows.full(batch, rows)) - v.sum()
    torch.testing.assert_close(found.view_as(expected), expected, atol=tolerance, rtol=tolerance)
    counts = [number % (rows + 1) for number in range(batch)]
    some = torch.arange(rows) < torch.tensor(counts).unsqueeze(1)
    found = additive_looks(query[some], key_powers(keys), v, laid_out(counts)) - v.sum()
    torch.testing.assert_close(found, expected[some], atol=tolerance, rtol=tolerance)


@pytest.mark.usefixtures("arithmetic")
def test_powers_at_the_edge_of_what_fits_are_finite() -> None:
    keys = torch.full((1, 1, 2), 30.0)
    edge = powers_fit(keys)
    for sign in (1, -1):
        query = torch.full((1, 1, 2), sign * edge)
        for key in (keys, -keys):
            scores = additive_looks(query[0], key_powers(key), torch.ones(2), Rows.full(1, 1)) - 2
            torch.testing.assert_close(scores, additive_scores_reference(query, key, torch.ones(2))[0])
    assert powers_fit(torch.full((1, 1, 1), 45.0)) < 0


def test_under_autocast_looks_are_taken_in_single_precision() -> None:
    generator = torch.Generator().manual_seed(1)
    query, keys = (torch.randn(2, 3, 4, generator=generator).bfloat16() for _ in range(2))
    v = torch.randn(4, generator=generator)
    assert powers_fit(keys) == powers_fit(keys.float())
    with torch.autocast("cpu", torch.bfloat16):
        found = additive_looks(query.flatten(0, 1), key_powers(keys), v, Rows.full(2, 3)) - v.sum()
    expected = additive_scores_reference(query.float(), keys.float(), v)
    torch.testing.assert_close(found.view_as(expected), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("arithmetic")
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5), (torch.bfloat16, 0.05)], ids=str
)
@pytest.mark.parametrize("counts", [[3, 3], [2, 0, 1, 7], [1]], ids=str)
def test_what_is_mixed_is_the_weighted_sum(counts: list[int], dtype: torch.dtype, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(3)
    precise = torch.promote_types(dtype, torch.float32)
    values = torch.randn(len(counts), 5, 37, generator=generator, dtype=precise).to(dtype)
    weights = torch.rand(sum(counts), 5, generator=generator, dtype=precise)
    expected = torch.einsum("rn,rnd->rd", weights, values.to(precise).repeat_interleave(torch.tensor(counts), dim=0))
    torch.testing.assert_close(mix_looks(weights, values, laid_out(counts)), expected, atol=tolerance, rtol=tolerance)
