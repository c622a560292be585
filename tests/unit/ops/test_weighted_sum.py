"""Weighted sums of values against products of blocks, and their gradients."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from regard.ops.packing import GroupedRows
from regard.ops.weighted_sum import WeightedSum, weighted_sum

pytestmark = pytest.mark.usefixtures("arithmetic")

RAGGED = GroupedRows(num_inputs=4, num_columns=9, block_index=None, offsets=torch.tensor([0, 9, 9, 10, 16]))
BATCH_INDEX = torch.tensor([0] * 9 + [2] + [3] * 6)


def rows() -> GroupedRows:
    columns = torch.cat([torch.arange(count) for count in (9, 1, 6)])
    return dataclasses.replace(RAGGED, block_index=BATCH_INDEX * 9 + columns)


@pytest.mark.parametrize("started", [True, False], ids=["added", "alone"])
@pytest.mark.parametrize(("positions", "dim"), [(1, 1), (7, 16), (9, 37), (23, 5), (14, 64)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_rows_sum_the_values_of_their_inputs(dtype, positions, dim, started):
    generator = torch.Generator().manual_seed(positions)
    sums = torch.float64 if dtype == torch.float64 else torch.float32
    values = torch.randn(5, positions, dim, generator=generator, dtype=sums).to(dtype)
    weights, gradient, start = (
        torch.randn(16, count, generator=generator, dtype=sums) for count in (positions, dim, dim)
    )
    own = values.to(sums)[BATCH_INDEX]
    expected = torch.einsum("rn,rnd->rd", weights, own) + (start if started else 0)
    tolerance = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 0.1}[dtype]
    summer = WeightedSum(values, sums)
    for out in (torch.empty(16, dim, dtype=sums), torch.empty(16, 3 * dim, dtype=sums)[:, dim : 2 * dim]):
        summer.forward(weights, rows(), start=start if started else None, out=out)
        torch.testing.assert_close(out, expected, atol=tolerance, rtol=tolerance / 10)
    expected = torch.einsum("rd,rnd->rn", gradient, own)
    for given in (gradient, torch.cat([gradient, gradient], dim=1)[:, :dim]):
        found = summer.backward(given, rows())
        assert found.dtype == sums
        torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance / 10)


def grouped(counts: list[int]) -> GroupedRows:
    return GroupedRows.of(torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)), len(counts))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5), (torch.bfloat16, 0.05)], ids=str
)
@pytest.mark.parametrize("counts", [[3, 3], [2, 0, 1, 7], [1]], ids=str)
def test_sums_without_gradient(counts: list[int], dtype: torch.dtype, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(3)
    precise = torch.promote_types(dtype, torch.float32)
    values = torch.randn(len(counts), 5, 37, generator=generator, dtype=precise).to(dtype)
    weights = torch.rand(sum(counts), 5, generator=generator, dtype=precise)
    expected = torch.einsum("rn,rnd->rd", weights, values.to(precise).repeat_interleave(torch.tensor(counts), dim=0))
    torch.testing.assert_close(weighted_sum(weights, values, grouped(counts)), expected, atol=tolerance, rtol=tolerance)
