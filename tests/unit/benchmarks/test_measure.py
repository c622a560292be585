"""Measuring: turns, operations, memory."""

from __future__ import annotations

import os
import platform
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from measure import count_operations, fused_paths, interleaved, kept_bytes, matrix_product, peak_bytes
from regard.ops.linear import inference_linear


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


class _Doubled(torch.autograd.Function):
    """Keeps its own result, and something that tells when it is let go."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, layer: nn.Module) -> Tensor:
        doubled = value * 2
        ctx.save_for_backward(doubled)
        ctx.layer = layer
        return doubled


def test_what_was_counted_is_let_go() -> None:
    layer = nn.Linear(8, 16, bias=False)
    inside = [nn.Identity()]
    gone = weakref.ref(inside[0])
    assert kept_bytes(lambda: _Doubled.apply(layer.weight, inside.pop()).sum(), layer) == 8 * 16 * 4  # type: ignore[no-untyped-call]
    assert gone() is None


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


def test_operations_of_what_was_made_ready_are_counted_too() -> None:
    rows, weight = torch.randn(20, 24), torch.randn(32, 24)
    for precision in ("float32", "bfloat16", "int8"):
        product = inference_linear(weight, None, precision=precision)
        assert count_operations(lambda product=product: product(rows)) == 2 * 20 * 24 * 32  # type: ignore[misc]


@pytest.mark.parametrize("groups", [1, 4])
def test_operations_of_convolutions_are_counted_however_they_are_done(groups: int) -> None:
    x, weight, bias = torch.randn(2, 8, 9, 7), torch.randn(12, 8 // groups, 3, 3), torch.randn(12)
    expected = count_operations(lambda: nn.functional.conv2d(x, weight, bias, stride=2, padding=1, groups=groups))
    assert expected == 2 * 2 * 12 * 5 * 4 * (8 // groups) * 9
    if not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return
    geometry = ([1, 1], [2, 2], [1, 1], groups)
    fused = torch.ops.mkldnn._convolution_pointwise
    laid_out = torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry)
    assert count_operations(lambda: fused(x, laid_out, bias, *geometry, "none", [], "")) == expected
    added, sums = torch.zeros(2, 12, 5, 4), (*geometry, "add", 1.0, None, [], "")
    assert count_operations(lambda: fused.binary(x, added, laid_out, bias, *sums)) == expected
