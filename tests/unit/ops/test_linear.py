"""Products through oneDNN against those of PyTorch; those that are made ready do not see their neighbours."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from regard.ops import linear as products
from regard.ops.linear import InferencePrecision, inference_linear, multiply

ERRORS: dict[InferencePrecision, float] = {"float32": 1e-6, "bfloat16": 2e-2, "int8": 3e-2}


def random(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_product_is_that_of_pytorch(with_bias, dtype):
    wide = random(9, 11, dtype=dtype)
    for weight in (random(3, 5, dtype=dtype), random(5, 3, dtype=dtype).t(), wide[:3, 2:7]):
        for rows in (0, 1, 7):
            x, bias = random(rows, 5, dtype=dtype), random(3, dtype=dtype) if with_bias else None
            torch.testing.assert_close(multiply(x, weight, bias), nn.functional.linear(x, weight, bias))


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
    found, expected = inference_linear(weight, bias, precision=precision)(x), nn.functional.linear(x, weight, bias)
    assert found.dtype == torch.float32
    assert (found - expected).norm() <= ERRORS[precision] * expected.norm()


@pytest.mark.parametrize("precision", ERRORS)
def test_a_row_does_not_see_its_neighbours(precision: InferencePrecision) -> None:
    x = torch.randn(9, 16, generator=torch.Generator().manual_seed(1))
    product = inference_linear(
        torch.randn(24, 16, generator=torch.Generator().manual_seed(2)), None, precision=precision
    )
    alone = torch.cat([product(row.unsqueeze(0)) for row in x])
    torch.testing.assert_close(product(x), alone, atol=1e-5, rtol=1e-5)
    x[3] *= 1e4
    others = torch.arange(9) != 3
    torch.testing.assert_close(product(x)[others], alone[others], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_rows_are_multiplied_in_eights(precision: InferencePrecision, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def multiplied(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        taken.append(len(rows))
        return nn.functional.linear(rows, weight, bias)

    monkeypatch.setattr(products, "_can_pack", lambda _: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", lambda weight, _: weight)
    monkeypatch.setattr(products, "_onednn_linear", multiplied)
    weight, bias = random(5, 7), random(5)
    product = inference_linear(weight, bias, precision=precision)
    for count in (31, 0, 1, 7, 8, 9, 16, 30, 31, 33):
        rows = random(count, 7)
        found = product(rows)
        tolerance = 1e-6 if precision == "float32" else 0.1
        torch.testing.assert_close(found, nn.functional.linear(rows, weight, bias), atol=tolerance, rtol=tolerance)
    assert taken == [31, 0, 1, 7, 8, 16, 16, 32, 31, 33]
    monkeypatch.setattr(products, "_PROGRAM", 5 * 7)
    assert [len(product(random(count, 7))) for count in (14, 15)] == [14, 15]
    assert taken[-2:] == [14, 16]


def test_whole_numbers_of_zeros_are_zeros() -> None:
    weight = torch.cat([torch.zeros(1, 4), torch.ones(1, 4)])
    found = inference_linear(weight, None, precision="int8")(torch.cat([torch.zeros(1, 4), torch.ones(1, 4)]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0], [0.0, 4.0]]))


def test_double_precision_stays() -> None:
    x, weight = torch.randn(3, 5, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    torch.testing.assert_close(inference_linear(weight, None, precision="float32")(x), nn.functional.linear(x, weight))
