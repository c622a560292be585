"""Products that are made ready: near the plain product, and a row does not see its neighbours."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import linear

from regard.kernels.products import InferencePrecision, ready_product

ERRORS: dict[InferencePrecision, float] = {"float32": 1e-6, "bfloat16": 2e-2, "int8": 3e-2}


@pytest.mark.parametrize("precision", ERRORS)
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 1, 1), (7, 33, 5), (300, 64, 129)])
@pytest.mark.parametrize("biased", [True, False])
def test_a_ready_product_is_the_product(
    precision: InferencePrecision, rows: int, inputs: int, outputs: int, biased: bool
) -> None:
    generator = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, inputs, generator=generator)
    weight = torch.randn(outputs, inputs, generator=generator)
    bias = torch.randn(outputs, generator=generator) if biased else None
    found, expected = ready_product(weight, bias, precision=precision)(x), linear(x, weight, bias)
    assert found.dtype == torch.float32
    assert (found - expected).norm() <= ERRORS[precision] * expected.norm()


@pytest.mark.parametrize("precision", ERRORS)
def test_a_row_does_not_see_its_neighbours(precision: InferencePrecision) -> None:
    x = torch.randn(9, 16, generator=torch.Generator().manual_seed(1))
    product = ready_product(torch.randn(24, 16, generator=torch.Generator().manual_seed(2)), None, precision=precision)
    alone = torch.cat([product(row.unsqueeze(0)) for row in x])
    torch.testing.assert_close(product(x), alone, atol=1e-5, rtol=1e-5)
    x[3] *= 1e4
    others = torch.arange(9) != 3
    torch.testing.assert_close(product(x)[others], alone[others], atol=1e-5, rtol=1e-5)


def test_whole_numbers_of_zeros_are_zeros() -> None:
    weight = torch.cat([torch.zeros(1, 4), torch.ones(1, 4)])
    found = ready_product(weight, None, precision="int8")(torch.cat([torch.zeros(1, 4), torch.ones(1, 4)]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0], [0.0, 4.0]]))


def test_double_precision_stays() -> None:
    x, weight = torch.randn(3, 5, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    torch.testing.assert_close(ready_product(weight, None, precision="float32")(x), linear(x, weight))
