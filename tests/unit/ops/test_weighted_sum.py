"""Weighted sums of values against products of blocks, and their gradients."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from regard.ops.packing import Rows
from regard.ops.weighted_sum import Mixer

pytestmark = pytest.mark.usefixtures("arithmetic")

RAGGED = Rows(inputs=4, columns=9, places=None, bounds=torch.tensor([0, 9, 9, 10, 16]))
OWNERS = torch.tensor([0] * 9 + [2] + [3] * 6)


def rows() -> Rows:
    columns = torch.cat([torch.arange(count) for count in (9, 1, 6)])
    return dataclasses.replace(RAGGED, places=OWNERS * 9 + columns)


@pytest.mark.parametrize("started", [True, False], ids=["added", "alone"])
@pytest.mark.parametrize(("positions", "dim"), [(1, 1), (7, 16), (9, 37), (23, 5), (14, 64)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_rows_mix_the_values_of_their_inputs(dtype, positions, dim, started):
    generator = torch.Generator().manual_seed(positions)
    sums = torch.float64 if dtype == torch.float64 else torch.float32
    values = torch.randn(5, positions, dim, generator=generator, dtype=sums).to(dtype)
    weights, gradient, start = (
        torch.randn(16, count, generator=generator, dtype=sums) for count in (positions, dim, dim)
    )
    own = values.to(sums)[OWNERS]
    expected = torch.einsum("rn,rnd->rd", weights, own) + (start if started else 0)
    tolerance = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 0.1}[dtype]
    mixer = Mixer(values, sums)
    for out in (torch.empty(16, dim, dtype=sums), torch.empty(16, 3 * dim, dtype=sums)[:, dim : 2 * dim]):
        mixer.mix(weights, rows(), start=start if started else None, out=out)
        torch.testing.assert_close(out, expected, atol=tolerance, rtol=tolerance / 10)
    expected = torch.einsum("rd,rnd->rn", gradient, own)
    for given in (gradient, torch.cat([gradient, gradient], dim=1)[:, :dim]):
        found = mixer.backward(given, rows())
        assert found.dtype == sums
        torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance / 10)
