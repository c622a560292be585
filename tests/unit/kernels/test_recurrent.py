"""Steps with written-out gradients against PyTorch's own cells and autograd."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from regard.kernels.recurrent import GruStep, LstmStep, RecurrentStep

ROWS, HIDDEN, INPUT = 5, 7, 3


@pytest.mark.parametrize(("step", "cell"), [(LstmStep(), nn.LSTMCell), (GruStep(), nn.GRUCell)], ids=["lstm", "gru"])
def test_a_step_and_its_gradient(step: RecurrentStep, cell: type[nn.LSTMCell] | type[nn.GRUCell]):
    torch.manual_seed(0)
    network = cell(INPUT, HIDDEN).double()
    x = torch.randn(ROWS, INPUT, dtype=torch.float64)
    h = torch.randn(ROWS, HIDDEN, dtype=torch.float64, requires_grad=True)
    is_lstm = isinstance(network, nn.LSTMCell)
    c = torch.randn(ROWS, HIDDEN, dtype=torch.float64, requires_grad=True) if is_lstm else None
    inputs = nn.functional.linear(x, network.weight_ih, network.bias_ih).detach()
    recurrent = nn.functional.linear(h, network.weight_hh, network.bias_hh).detach()

    after, kept = step.forward(inputs.detach().clone(), recurrent, h.detach(), None if c is None else c.detach())
    outputs = network(x, (h, c)) if c is not None else network(x, h)
    expected = outputs if isinstance(outputs, tuple) else (outputs,)
    torch.testing.assert_close(after, expected[0].detach())
    if c is not None:
        torch.testing.assert_close(kept.c, expected[1].detach())

    pushes = [torch.randn_like(each) for each in expected]
    gradient = step.backward(
        kept, h.detach(), None if c is None else c.detach(), pushes[0], pushes[1] if c is not None else None
    )
    wanted = [network.bias_ih, network.bias_hh, h, *([] if c is None else [c])]
    found = torch.autograd.grad(expected, wanted, pushes)
    through = gradient.recurrent @ network.weight_hh.detach()
    torch.testing.assert_close(gradient.inputs.sum(0), found[0])
    torch.testing.assert_close(gradient.recurrent.sum(0), found[1])
    torch.testing.assert_close(through if gradient.h is None else through + gradient.h, found[2])
    if c is not None:
        torch.testing.assert_close(gradient.c, found[3])
