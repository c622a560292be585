"""Measuring: turns, operations, memory."""

from __future__ import annotations

import os
import platform

import pytest
import torch
from torch import nn

from measure import count_operations, fused_paths, interleaved, kept_bytes, matrix_product, peak_bytes


def test_works_take_turns_and_the_first_round_does_not_count() -> None:
    done: list[str] = []
    seconds = interleaved({name: lambda name=name: done.append(name) for name in "ab"}, repetitions=2)  # type: ignore[misc]
    assert done == ["a", "b"] * 3
    assert seconds.keys() == {"a", "b"}


def test_operations_are_those_of_the_products_also_without_gradients() -> None:
    layer = nn.Linear(7, 11)

    def work() -> None:
        with torch.inference_mode():
            layer(torch.ones(3, 7))

    assert count_operations(work) == 2 * 3 * 7 * 11
    product, operations = matrix_product(torch.float32)
    assert count_operations(product) == operations


def test_kept_bytes_leave_out_parameters() -> None:
    layer = nn.Linear(8, 16, bias=False)
    value = torch.ones(5, 8)
    assert kept_bytes(lambda: layer(value).sum(), layer) == 5 * 8 * 4
    # tanh keeps its output as well
    assert kept_bytes(lambda: torch.tanh(layer(value)).sum(), layer) == 5 * 8 * 4 + 5 * 16 * 4


def test_the_peak_counts_what_is_let_go_of_again() -> None:
    peak = peak_bytes(lambda: torch.ones(30_000_000).sum())
    assert (peak is None) == (platform.system() != "Linux")
    assert peak is None or 1.1e8 < peak < 1.6e8


@pytest.mark.parametrize("before", [None, "", "1"])
def test_paths_are_switched_for_a_while(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    monkeypatch.delenv("REGARD_REFERENCE", raising=False)
    if before is not None:
        monkeypatch.setenv("REGARD_REFERENCE", before)
    with fused_paths(on=False):
        assert os.environ["REGARD_REFERENCE"] == "1"
    with fused_paths(on=True):
        assert os.environ["REGARD_REFERENCE"] == "0"
    assert os.environ.get("REGARD_REFERENCE") == before
