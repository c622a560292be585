from __future__ import annotations

import pytest
import torch

from regard.ops.dropout import dropout


def dropout_in_training(p: float, value: torch.Tensor) -> torch.Tensor:
    return dropout(value, p, training=True)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.93])
def test_the_share_and_the_scale_are_right(p):
    torch.manual_seed(0)
    value = torch.ones(501, 399)
    dropped = dropout_in_training(p, value)
    kept = dropped != 0
    deviation = (p * (1 - p) / value.numel()) ** 0.5
    assert abs(float(kept.float().mean()) - (1 - p)) < 4 * deviation + 2**-16
    assert torch.allclose(dropped[kept], torch.tensor(1 / (1 - p)), rtol=1e-3)


def test_neighbours_are_independent():
    torch.manual_seed(0)
    kept = (dropout_in_training(0.5, torch.ones(4096, 64)) != 0).float() - 0.5
    for shift in (1, 2, 3, 4, 64):
        moved = kept.flatten().roll(shift)
        assert abs(float((kept.flatten() * moved).mean())) < 4 * 0.25 / kept.numel() ** 0.5


def test_the_gradient_goes_where_the_numbers_went():
    torch.manual_seed(0)
    value = torch.randn(7, 5, 3, requires_grad=True, dtype=torch.float64)
    dropped = dropout_in_training(0.4, value)
    dropped.sum().backward()
    assert value.grad is not None
    assert torch.equal(value.grad * value.detach(), dropped.detach())


def test_the_seed_decides():
    value = torch.ones(33, 3)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(dropout_in_training(0.5, value))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_type_of_number_stays(dtype):
    assert dropout_in_training(0.5, torch.ones(9, dtype=dtype)).dtype == dtype


def test_nothing_is_dropped_outside_training_or_at_zero():
    value = torch.randn(5)
    assert dropout(value, 0.5, training=False) is value
    assert dropout_in_training(0.0, value) is value
    assert dropout_in_training(0.5, torch.empty(0)).shape == (0,)
