"""Steps with written-out gradients against PyTorch's own cells and autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from regard.ops.cells import CellKind, CellState, StepGradient, build_step
from regard.ops.cpu.compiled import current_ops
from regard.ops.linear import prepare_linear

pytestmark = pytest.mark.usefixtures("arithmetic")

ROWS, HIDDEN = 5, 37
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def take(
    kind: CellKind,
    inputs: Tensor,
    recurrent: Tensor,
    before: CellState,
    pushes: CellState,
    *,
    inner: Tensor | None = None,
) -> tuple[CellState, StepGradient, Tensor]:
    """The state after a step, its gradient, and that of ``recurrent``; this is a part of a wider matrix."""
    dtype = inputs.dtype
    compiled = current_ops(inputs.device, dtype)
    step = build_step(kind, inner, lambda matrix: prepare_linear(matrix, dtype), compiled=compiled)
    saved = torch.full((ROWS, step.num_saved * HIDDEN), torch.nan, dtype=dtype)
    saved[:, : inputs.shape[1]] = inputs
    after = CellState(torch.empty_like(before.h), None if before.c is None else torch.empty_like(before.c))
    wide = torch.cat([recurrent, recurrent], dim=1)
    step.forward(saved, wide[:, : recurrent.shape[1]], before, after)
    grad_recurrent = torch.empty_like(wide)[:, 1 : 1 + recurrent.shape[1]]
    own = CellState(*(None if each is None else each.clone() for each in pushes))
    return after, step.backward(saved, before, after, own, grad_recurrent), grad_recurrent


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_step_and_its_gradient(kind: CellKind, dtype: torch.dtype):
    torch.manual_seed(0)
    network = (nn.LSTMCell if kind == "lstm" else nn.GRUCell)(3, HIDDEN).to(dtype)
    x, h, c = (torch.randn(ROWS, size, dtype=dtype).mul_(3).requires_grad_() for size in (3, HIDDEN, HIDDEN))
    inputs = nn.functional.linear(x, network.weight_ih, network.bias_ih).detach()
    recurrent = nn.functional.linear(h, network.weight_hh, network.bias_hh).detach()
    outputs = network(x, (h, c)) if kind == "lstm" else (network(x, h),)
    pushes = [torch.randn_like(each) for each in outputs]
    wanted = [network.bias_ih, network.bias_hh, h, *([c] if kind == "lstm" else [])]
    expected = torch.autograd.grad(outputs, wanted, pushes)

    before = CellState(h.detach(), c.detach() if kind == "lstm" else None)
    grad_after = CellState(pushes[0], pushes[1] if kind == "lstm" else None)
    after, gradient, grad_recurrent = take(kind, inputs, recurrent, before, grad_after)
    through = grad_recurrent @ network.weight_hh.detach()
    grad_h = through if gradient.h is None else through + gradient.h
    pairs = [(after.h, outputs[0]), (gradient.inputs.sum(0), expected[0]), (grad_recurrent.sum(0), expected[1])]
    pairs += [(grad_h, expected[2]), *([(after.c, outputs[1]), (gradient.c, expected[3])] if kind == "lstm" else [])]
    for ours, plain in pairs:
        torch.testing.assert_close(ours, plain.detach(), atol=10 * TOLERANCE[dtype], rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_the_gated_unit_and_its_gradient(dtype: torch.dtype):
    torch.manual_seed(0)
    inner, s = torch.randn(HIDDEN, HIDDEN, dtype=dtype) / 6, torch.randn(ROWS, HIDDEN, dtype=dtype)
    inputs, recurrent = torch.randn(ROWS, 3 * HIDDEN, dtype=dtype), torch.randn(ROWS, 2 * HIDDEN, dtype=dtype)
    leaves = [each.clone().requires_grad_() for each in (inputs, recurrent, s)]
    x, through_state, h = leaves
    z, r = torch.sigmoid(x[:, : 2 * HIDDEN] + through_state).chunk(2, dim=1)
    expected = torch.lerp(h, torch.tanh(x[:, 2 * HIDDEN :] + (r * h) @ inner.t()), z)
    push = torch.randn_like(s)
    gradients = torch.autograd.grad(expected, leaves, push)

    after, gradient, grad_recurrent = take(
        "gated", inputs, recurrent, CellState(s, None), CellState(push, None), inner=inner
    )
    assert gradient.h is not None
    found = (after.h, gradient.inputs, grad_recurrent, gradient.h)
    for ours, plain in zip(found, (expected.detach(), *gradients), strict=True):
        torch.testing.assert_close(ours, plain, atol=10 * TOLERANCE[dtype], rtol=TOLERANCE[dtype])


def test_extremes_saturate_and_what_is_not_a_number_is_not_hidden():
    extremes = torch.tensor([-1e4, -200.0, -88.0, 0.0, 88.0, 200.0, 1e4, float("nan")]).unsqueeze(1)
    saved, state = extremes.repeat(1, 4), CellState(torch.zeros(8, 1), torch.full((8, 1), 0.5))
    after = CellState(torch.empty(8, 1), torch.empty(8, 1))
    step = build_step(
        "lstm",
        None,
        lambda matrix: prepare_linear(matrix, matrix.dtype),
        compiled=current_ops(saved.device, saved.dtype),
    )
    step.forward(saved, torch.zeros(8, 4), state, after)
    low, high = torch.sigmoid(extremes), torch.tanh(extremes)
    cell = low * 0.5 + low * high
    torch.testing.assert_close(after.c, cell, atol=1e-6, rtol=1e-5, equal_nan=True)
    torch.testing.assert_close(after.h, low * torch.tanh(cell), atol=1e-6, rtol=1e-5, equal_nan=True)
