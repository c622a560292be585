"""Blockwise scores against the formula, forwards and backwards, one call or many."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from regard.ops import additive
from regard.ops.additive import AdditiveScorer, additive_scores
from regard.ops.packing import GroupedRows
from regard.ops.scores import DotScorer

pytestmark = pytest.mark.usefixtures("arithmetic")


def additive_scores_reference(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    return torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1)) @ v


SIZES = [(3, 2, 5, 7), (1, 1, 1, 1), (4, 3, 1, 9), (1, 6, 11, 2), (5, 1, 3, 4)]


def operands(sizes: tuple[int, int, int, int], *, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    batch, rows, positions, dim = sizes
    generator = torch.Generator().manual_seed(sum(sizes))
    shapes = ((batch, rows, dim), (batch, positions, dim), (dim,))
    query, keys, v = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return (query * scale).requires_grad_(), (keys * scale).requires_grad_(), v.requires_grad_()


@pytest.mark.parametrize("block", [1, 10, 10**6])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_gradients_agree_with_finite_differences(sizes, block, monkeypatch):
    monkeypatch.setattr(additive, "BLOCK_ELEMENTS", block)
    assert torch.autograd.gradcheck(additive_scores, operands(sizes))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("block", [1, 7, 30, 60, 71, 10**6])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_block_size_equals_the_formula(sizes, block, dtype, monkeypatch):
    monkeypatch.setattr(additive, "BLOCK_ELEMENTS", block)
    tensors = [tensor.detach().to(dtype).requires_grad_() for tensor in operands(sizes)]
    push = torch.randn(sizes[0], sizes[1], sizes[2], dtype=dtype)
    results = []
    for function in (additive_scores, additive_scores_reference):
        scores = function(*tensors)
        results.append((scores.detach(), *torch.autograd.grad((scores * push).sum(), tensors)))
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-10 if dtype == torch.float64 else 1e-5, rtol=0)


@pytest.mark.parametrize("scale", [1.0, 400.0, 1e4])
def test_many_calls_sum_the_gradients_of_what_stays(scale):
    """From small numbers, for which powers are taken, to numbers whose powers would overflow."""
    query, keys, v = operands((3, 2, 5, 7), scale=scale)
    scorer = AdditiveScorer(keys.detach(), v.detach())
    total = torch.zeros((), dtype=torch.float64)
    for inputs in (3, 2, 1):
        scores = additive_scores_reference(query[:inputs], keys[:inputs], v)
        rows, packed = GroupedRows.full(inputs, 2), query[:inputs].detach().flatten(0, 1)
        torch.testing.assert_close(scorer.scores(packed, rows).view_as(scores), scores.detach(), atol=1e-10, rtol=0)
        push = torch.randn(scores.shape, dtype=torch.float64)
        total = total + (scores * push).sum()
        (expected,) = torch.autograd.grad((scores * push).sum(), query, retain_graph=True)
        found = scorer.backward(packed, push.flatten(0, 1), rows)
        torch.testing.assert_close(found, expected[:inputs].flatten(0, 1), atol=1e-10, rtol=0)
    expected_keys, expected_v = torch.autograd.grad(total, (keys, v))
    to_keys, to_v = scorer.gradients()
    torch.testing.assert_close(to_keys, expected_keys, atol=1e-10, rtol=0)
    torch.testing.assert_close(to_v, expected_v, atol=1e-10, rtol=0)


def test_opposite_extremes_do_not_cancel_by_overflow():
    keys = torch.tensor([[[300.0], [-300.0], [0.0]]])
    for query in (-300.0, 0.0, 300.0):
        scorer = AdditiveScorer(keys, torch.ones(1))
        expected = torch.tanh(keys.flatten() + query)
        torch.testing.assert_close(scorer.scores(torch.full((1, 1), query), GroupedRows.full(1, 1)).flatten(), expected)


def test_what_is_not_a_number_is_not_hidden():
    keys = torch.tensor([[[float("nan")], [1.0]]])
    scores = AdditiveScorer(keys, torch.ones(1)).scores(torch.zeros(1, 1), GroupedRows.full(1, 1))
    assert scores.isnan().tolist() == [[True, False]]


def test_under_autocast_scores_are_float32():
    query, keys, v = (tensor.detach().float() for tensor in operands((3, 2, 5, 7)))
    with torch.autocast("cpu", torch.bfloat16):
        scores = additive_scores(query.bfloat16(), keys, v)
    expected = additive_scores_reference(query.bfloat16().float(), keys, v)
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=0)


def test_dot_products_sum_the_gradients_of_the_keys():
    query, keys, _ = operands((3, 2, 5, 7))
    scorer = DotScorer(keys.detach(), 0.3)
    total = torch.zeros((), dtype=torch.float64)
    for inputs in (3, 1):
        scores = query[:inputs] @ keys[:inputs].transpose(1, 2) * 0.3
        rows, packed = GroupedRows.full(inputs, 2), query[:inputs].detach().flatten(0, 1)
        torch.testing.assert_close(scorer.scores(packed, rows).view_as(scores), scores.detach())
        total = total + scores.square().sum() / 2
        (expected,) = torch.autograd.grad(scores.square().sum() / 2, query, retain_graph=True)
        found = scorer.backward(packed, scores.detach().flatten(0, 1), rows)
        torch.testing.assert_close(found, expected[:inputs].flatten(0, 1))
    torch.testing.assert_close(scorer.gradients()[0], torch.autograd.grad(total, keys)[0])
