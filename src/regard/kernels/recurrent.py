"""Recurrent steps with their gradients written out, for passes that walk over time by themselves.

Gate order and formulas of the LSTM and the GRU are those of ``torch.nn.LSTMCell`` and ``torch.nn.GRUCell``; the gated
unit is that of Bahdanau et al. 2015, which applies the reset gate before the product. A step works on rows side by
side, [rows, ...]. Its sums come in two parts, ``inputs`` (everything but the state) and ``recurrent`` (the product with
the state). tanh x = 2 σ(2x) − 1, because PyTorch computes σ about seven times faster
than tanh on a processor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from regard.kernels.products import Product

CellKind = Literal["lstm", "gru", "gated"]


class Kept(NamedTuple):
    """What a step keeps for its gradient: ``gates`` [rows, some × hidden] and, of an LSTM, the cell ``c`` after it."""

    gates: Tensor
    c: Tensor | None


class StepGradient(NamedTuple):
    """Gradients of one step: of both parts of its sums, and of h (not through ``recurrent``) and c before it."""

    inputs: Tensor
    recurrent: Tensor
    h: Tensor | None
    c: Tensor | None


class RecurrentStep(ABC):
    """One step of a recurrent network, forwards and backwards."""

    @abstractmethod
    def forward(self, inputs: Tensor, recurrent: Tensor, h: Tensor, c: Tensor | None) -> tuple[Tensor, Kept]:
        """h after the step, and what :meth:`backward` needs; ``inputs`` is overwritten.

        Args:
            inputs, recurrent: [rows, some × hidden], biases included.
            h, c: [rows, hidden], before the step.
        """

    @abstractmethod
    def backward(self, kept: Kept, h: Tensor, c: Tensor | None, to_h: Tensor, to_c: Tensor | None) -> StepGradient:
        """Gradients, from those of h and c after the step; ``h`` and ``c`` are those before it."""


class LstmStep(RecurrentStep):
    """i, f, o = σ(·), g = tanh(·), c = f∘c + i∘g, h = o∘tanh(c)."""

    def forward(self, inputs: Tensor, recurrent: Tensor, h: Tensor, c: Tensor | None) -> tuple[Tensor, Kept]:
        assert c is not None, "an LSTM has a cell"
        gates = inputs.add_(recurrent)
        hidden = h.shape[-1]
        candidate = gates[:, 2 * hidden : 3 * hidden]
        candidate.mul_(2)
        gates.sigmoid_()
        candidate.mul_(2).sub_(1)
        i, f, g, o = gates.chunk(4, dim=-1)
        c = torch.mul(f, c).addcmul_(i, g)
        return _tanh(c).mul_(o), Kept(gates, c)

    def backward(self, kept: Kept, h: Tensor, c: Tensor | None, to_h: Tensor, to_c: Tensor | None) -> StepGradient:
        assert c is not None, "an LSTM has a cell"
        assert kept.c is not None, "an LSTM has a cell"
        i, f, g, o = kept.gates.chunk(4, dim=-1)
        bent = _tanh(kept.c)
        through = torch.addcmul(to_h, to_h * bent, bent, value=-1).mul_(o)
        to_cell = through if to_c is None else through.add_(to_c)
        slopes = torch.addcmul(kept.gates, kept.gates, kept.gates, value=-1)
        to_i, to_f, to_g, to_o = slopes.chunk(4, dim=-1)
        to_i.mul_(g).mul_(to_cell)
        to_f.mul_(c).mul_(to_cell)
        torch.mul(g, g, out=to_g).neg_().add_(1).mul_(i).mul_(to_cell)
        to_o.mul_(bent).mul_(to_h)
        return StepGradient(slopes, slopes, None, to_cell.mul_(f))


class GruStep(RecurrentStep):
    """r, z = σ(·), n = tanh(x_n + r∘h_n), h = (1−z)∘n + z∘h."""

    def forward(self, inputs: Tensor, recurrent: Tensor, h: Tensor, c: Tensor | None) -> tuple[Tensor, Kept]:
        hidden = h.shape[-1]
        kept = torch.cat([inputs, recurrent[:, 2 * hidden :]], dim=-1)
        kept[:, : 2 * hidden].add_(recurrent[:, : 2 * hidden]).sigmoid_()
        r, z, n, recurrent_n = kept.chunk(4, dim=-1)
        n.addcmul_(r, recurrent_n).mul_(2).sigmoid_().mul_(2).sub_(1)
        return torch.lerp(n, h, z), Kept(kept, None)

    def backward(self, kept: Kept, h: Tensor, c: Tensor | None, to_h: Tensor, to_c: Tensor | None) -> StepGradient:
        hidden = h.shape[-1]
        r, z, n, recurrent_n = kept.gates.chunk(4, dim=-1)
        slopes = torch.addcmul(kept.gates, kept.gates, kept.gates, value=-1)
        to_r, to_z, to_n, to_recurrent_n = slopes.chunk(4, dim=-1)
        torch.addcmul(to_h, to_h, z, value=-1, out=to_n)
        to_n.mul_(torch.mul(n, n).neg_().add_(1))
        to_r.mul_(to_n).mul_(recurrent_n)
        to_z.mul_(to_h).mul_(h - n)
        torch.mul(to_n, r, out=to_recurrent_n)
        recurrent = torch.cat([slopes[:, : 2 * hidden], to_recurrent_n], dim=-1)
        return StepGradient(slopes[:, : 3 * hidden], recurrent, to_h * z, None)


class GatedStep(RecurrentStep):
    """z, r = σ(·), s̃ = tanh(x + U(r∘s)), s = (1−z)∘s + z∘s̃ (Bahdanau 2015, appendix A.1.1); h stands for s.

    ``inputs`` hold the shares of z, r and s̃, ``recurrent`` those of z and r.

    Args:
        U: [hidden, hidden].
        multiplier: makes a matrix W ready for products x Wᵀ.
    """

    def __init__(self, U: Tensor, multiplier: Callable[[Tensor], Product]) -> None:  # noqa: N803 (the paper's name)
        self._U, self._multiplier = U, multiplier

    @cached_property
    def _of_state(self) -> Product:
        return self._multiplier(self._U)

    @cached_property
    def _to_state(self) -> Product:
        return self._multiplier(self._U.t())

    def forward(self, inputs: Tensor, recurrent: Tensor, h: Tensor, c: Tensor | None) -> tuple[Tensor, Kept]:
        hidden = h.shape[-1]
        z, r, candidate = inputs.chunk(3, dim=-1)
        inputs[:, : 2 * hidden].add_(recurrent).sigmoid_()
        candidate.add_(self._of_state(r * h)).mul_(2).sigmoid_().mul_(2).sub_(1)
        return torch.lerp(h, candidate, z), Kept(inputs, None)

    def backward(self, kept: Kept, h: Tensor, c: Tensor | None, to_h: Tensor, to_c: Tensor | None) -> StepGradient:
        z, r, candidate = kept.gates.chunk(3, dim=-1)
        slopes = torch.addcmul(kept.gates, kept.gates, kept.gates, value=-1)
        to_z, to_r, to_candidate = slopes.chunk(3, dim=-1)
        torch.mul(to_h, z, out=to_candidate).mul_(torch.mul(candidate, candidate).neg_().add_(1))
        to_z.mul_(to_h).mul_(candidate - h)
        through = self._to_state(to_candidate)
        to_r.mul_(through).mul_(h)
        before = torch.addcmul(to_h, to_h, z, value=-1).addcmul_(through, r)
        return StepGradient(slopes, slopes[:, : 2 * h.shape[-1]], before, None)

    @staticmethod
    def multiplied(gates: Tensor, h: Tensor) -> Tensor:
        """r∘s, which U was multiplied with, from what was kept and the states before."""
        return gates[:, h.shape[-1] : 2 * h.shape[-1]] * h


def build_step(kind: CellKind, U: Tensor | None, multiplier: Callable[[Tensor], Product]) -> RecurrentStep:  # noqa: N803
    """The step of a network; U [hidden, hidden] and what makes it ready for products are for the gated unit."""
    if kind == "gated":
        assert U is not None, "the gated unit multiplies with U"
        return GatedStep(U, multiplier)
    return LstmStep() if kind == "lstm" else GruStep()


def _tanh(value: Tensor) -> Tensor:
    return torch.mul(value, 2).sigmoid_().mul_(2).sub_(1)
