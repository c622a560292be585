"""What each form keeps of the numbers, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from regard.errors import ModelError
from regard.saved.storage import Precision, pack, unpack


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {
        "linear.weight": torch.randn(7, 5, generator=generator),
        "linear.bias": torch.randn(7, generator=generator),
        "convolution.weight": torch.randn(4, 3, 2, 2, generator=generator)
        * torch.tensor([1e-3, 1, 50, 0]).view(4, 1, 1, 1),
        "scalar": torch.tensor(0.25),
        "counter": torch.tensor(3),
    }


def test_float32_is_exact(tensors: dict[str, Tensor]) -> None:
    again = unpack(pack(tensors, "float32"), origin="here")
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_computing_is_in_float32_whatever_was_stored(tensors: dict[str, Tensor], precision: Precision) -> None:
    again = unpack(pack(tensors, precision), origin="here")
    assert again.keys() == tensors.keys()
    assert {name: tensor.dtype for name, tensor in again.items()} == {
        name: tensor.dtype for name, tensor in tensors.items()
    }
    torch.testing.assert_close(again["linear.bias"], tensors["linear.bias"], rtol=2**-11, atol=0)


def test_int8_is_off_by_half_a_step_of_its_row_at_most(tensors: dict[str, Tensor]) -> None:
    packed = pack(tensors, "int8")
    assert packed["linear.weight"].dtype == torch.int8
    assert packed["linear.weight.scale"].shape == (7,)
    assert packed["linear.bias"].dtype == torch.float16
    again = unpack(packed, origin="here")
    for name in ("linear.weight", "convolution.weight"):
        step = tensors[name].flatten(1).abs().amax(dim=1) / 127
        error = (again[name] - tensors[name]).flatten(1).abs().amax(dim=1)
        assert bool((error <= step * 0.5001).all())
    assert torch.equal(again["convolution.weight"][3], torch.zeros(3, 2, 2))


def test_storing_twice_changes_nothing_more(tensors: dict[str, Tensor]) -> None:
    once = unpack(pack(tensors, "int8"), origin="here")
    twice = unpack(pack(once, "int8"), origin="here")
    for name, tensor in once.items():
        torch.testing.assert_close(twice[name], tensor, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("number", "precision"), [(70_000.0, "float16"), (float("nan"), "int8"), (float("inf"), "float32")]
)
def test_a_number_that_cannot_be_kept_is_refused(number: float, precision: Precision) -> None:
    with pytest.raises(ModelError, match="bias holds a number that"):
        pack({"bias": torch.tensor([1.0, number])}, precision)


@pytest.mark.parametrize(
    "scale",
    [None, torch.ones(3), torch.ones(2, 1), torch.ones(2, dtype=torch.int64), torch.tensor([1.0, float("nan")])],
)
def test_a_scale_that_does_not_fit_is_refused(scale: Tensor | None) -> None:
    packed = {"w": torch.ones(2, 3, dtype=torch.int8)} | ({} if scale is None else {"w.scale": scale})
    with pytest.raises(ModelError, match="here: w"):
        unpack(packed, origin="here")
