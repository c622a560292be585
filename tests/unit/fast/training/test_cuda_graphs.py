"""When a pass is recorded; what a recording computes is tested on a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from regard.fast.training import cuda_graphs
from regard.fast.training.cuda_graphs import Replayed


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.Size, ...]]:
    """The shapes of all inputs that passes are recorded for."""
    shapes: list[tuple[torch.Size, ...]] = []

    def record(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Any:
        shapes.append(tuple(each.shape for each in inputs))
        return module

    monkeypatch.setattr(cuda_graphs, "_record", record)
    return shapes


def test_a_pass_is_recorded_once_when_its_shapes_come_again(recorded: list[tuple[torch.Size, ...]]) -> None:
    layer = nn.Linear(3, 2)
    replayed = Replayed(lambda: layer)
    for rows in (4, 4, 5, 4, 5, 5):
        x = torch.randn(rows, 3)
        assert torch.equal(replayed(x), layer(x))
    assert recorded == [((4, 3),), ((5, 3),)]


def test_what_learns_nothing_is_not_recorded(recorded: list[tuple[torch.Size, ...]]) -> None:
    layer, x = nn.Linear(3, 2), torch.randn(4, 3)
    replayed = Replayed(lambda: layer)
    with torch.no_grad():
        replayed(x), replayed(x)
    layer.requires_grad_(False)
    replayed(x), replayed(x)
    assert not recorded
    layer.requires_grad_(True)
    replayed(x), replayed(x)
    assert len(recorded) == 1
