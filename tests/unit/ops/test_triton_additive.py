"""Triton's kernels, run by its interpreter, against the formula, forwards and backwards."""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.attention import Attention, LocalAttention, masked_softmax
from regard.fast.attention import TritonAttention, fused

pytest.importorskip("triton", reason="Triton is not installed (pip install 'regard[triton]')")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("Triton was told to compile and not to interpret", allow_module_level=True)

from regard.ops import triton_additive

SIZES = [(3, 2, 5, 7, 4), (1, 1, 1, 1, 1), (2, 3, 35, 66, 5), (4, 1, 9, 3, 65)]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def operands(sizes: tuple[int, ...], dtype: torch.dtype, *, scale: float = 1.0) -> dict[str, Tensor]:
    batch, rows, positions, dim, width = sizes
    generator = torch.Generator().manual_seed(sum(sizes))
    shapes = {
        "query": (batch, rows, dim),
        "keys": (batch, positions, dim),
        "v": (dim,),
        "values": (batch, positions, width),
    }
    drawn = {name: torch.randn(shape, generator=generator, dtype=dtype) for name, shape in shapes.items()}
    drawn["query"] *= scale
    return {name: tensor.requires_grad_() for name, tensor in drawn.items()}


def plain(query: Tensor, keys: Tensor, v: Tensor, values: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    weights = masked_softmax(torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1)) @ v, mask)
    return weights @ values, weights


def assert_equal(given: dict[str, Tensor], mask: Tensor | None, *, pushed: tuple[float, float]) -> None:
    results = []
    for function in (triton_additive.additive_attention, plain):
        context, weights = function(**given, mask=mask)
        loss = pushed[0] * context.square().sum() + pushed[1] * (weights * weights.detach().cos()).sum()
        results.append((context.detach(), weights.detach(), *torch.autograd.grad(loss, list(given.values()))))
    for ours, theirs in zip(*results, strict=True):
        scale = max(1.0, float(theirs.abs().max()))
        torch.testing.assert_close(ours, theirs, atol=TOLERANCE[theirs.dtype] * scale, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("masked", [True, False], ids=["masked", "whole"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_kernels_equal_the_formula(sizes, masked, dtype):
    batch, positions = sizes[0], sizes[2]
    mask = torch.arange(positions) < torch.arange(1, batch + 1).unsqueeze(1) if masked else None
    assert_equal(operands(sizes, dtype), mask, pushed=(1.0, 1.0))


def test_weights_alone_and_context_alone_have_gradients():
    given = operands(SIZES[0], torch.float64)
    context, _ = triton_additive.additive_attention(**given)
    expected = torch.autograd.grad(plain(**given)[0].sum(), list(given.values()))
    for ours, theirs in zip(torch.autograd.grad(context.sum(), list(given.values())), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=0)
    push = torch.randn(3, 2, 5, dtype=torch.float64)
    found = torch.autograd.grad((triton_additive.additive_attention(**given)[1] * push).sum(), given["keys"])
    wanted = torch.autograd.grad((plain(**given)[1] * push).sum(), given["keys"])
    torch.testing.assert_close(found, wanted, atol=1e-10, rtol=0)


@pytest.mark.parametrize("scale", [100.0, 1e5])
def test_large_numbers_saturate(scale):
    assert_equal(operands(SIZES[0], torch.float32, scale=scale), None, pushed=(1.0, 0.0))


def test_padding_gets_nothing_and_gives_nothing():
    given = operands(SIZES[0], torch.float64)
    mask = torch.arange(5) < torch.tensor([[5], [2], [1]])
    context, weights = triton_additive.additive_attention(**given, mask=mask)
    assert not weights[~mask.unsqueeze(1).expand_as(weights)].any()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 2, dtype=torch.float64))
    (to_values,) = torch.autograd.grad(context.sum(), given["values"])
    assert not to_values[~mask].any()


def test_half_precision_is_summed_in_float32():
    given = {name: tensor.detach() for name, tensor in operands(SIZES[2], torch.float32).items()}
    rounded = {name: tensor if name == "v" else tensor.bfloat16() for name, tensor in given.items()}
    context, weights = triton_additive.additive_attention(**rounded)
    expected, looked = plain(**{name: tensor.float() for name, tensor in rounded.items()})
    assert context.dtype == torch.bfloat16
    torch.testing.assert_close(weights, looked, atol=1e-5, rtol=0)
    torch.testing.assert_close(context.float(), expected, atol=2e-2, rtol=1e-2)


@pytest.mark.parametrize("score", ["additive", "concat"])
def test_an_attention_by_triton_gives_the_same(score):
    torch.manual_seed(0)
    annotations = Annotations(torch.randn(3, 5, 6), torch.arange(5) < torch.tensor([[5], [2], [3]]))
    attention = Attention(4, 6, score=score, attention_dim=7)
    query = torch.randn(3, 2, 4)
    expected = attention(query, attention.remember(annotations))
    by_triton = TritonAttention(attention.score)
    found = by_triton(query, by_triton.remember(annotations))
    torch.testing.assert_close(found.weights, expected.weights, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.context, expected.context, atol=1e-5, rtol=0)


def test_a_cpu_never_uses_it():
    for attention in (Attention(4, 6, attention_dim=7), LocalAttention(4, 6, window=1, predictive=True)):
        assert not isinstance(fused(attention), TritonAttention)
