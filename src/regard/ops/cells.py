"""Recurrent steps with their gradients written out, for passes that walk over time by themselves.

Gate order and formulas of the LSTM and the GRU are those of ``torch.nn.LSTMCell`` and ``torch.nn.GRUCell``; the gated
unit is that of Bahdanau et al. 2015, which applies the reset gate before the product. A step works on rows side by
side, [rows, ...]. Its sums come in two parts, the inputs (everything but the state) and ``recurrent`` (the product with
the state), and its results are written where the pass keeps them.

PyTorch takes a step as a row of operations, compiled loops (:mod:`regard.ops.cpu.compiled`) as one.
tanh x = 2 σ(2x) − 1 in both; PyTorch computes σ about seven times faster than tanh on a processor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from regard.ops.cpu.compiled import Loops, Part
from regard.ops.linear import Product

CellKind = Literal["lstm", "gru", "gated"]


class State(NamedTuple):
    """What a network knows, or the gradient of that: h and, of an LSTM, its cell c, both [rows, hidden]."""

    h: Tensor
    c: Tensor | None


class StepGradient(NamedTuple):
    """Gradients of one step: of the inputs, and of h (not through ``recurrent``) and c before it."""

    inputs: Tensor
    h: Tensor | None
    c: Tensor | None


class RecurrentStep(ABC):
    """One step of a recurrent network, forwards and backwards, by PyTorch or by compiled loops."""

    kept: ClassVar[int]
    """How many times ``hidden`` numbers of a row are kept; the inputs come in the first of them."""

    def __init__(self, loops: Loops | None = None) -> None:
        self._loops = loops

    @abstractmethod
    def forward(self, kept: Tensor, recurrent: Tensor, before: State, after: State) -> None:
        """Take the step.

        Args:
            kept: [rows, kept × hidden], whose first columns hold the inputs; overwritten with what :meth:`backward`
                needs.
            recurrent: [rows, some × hidden].
            before, after: the states; ``after`` is written.
        """

    @abstractmethod
    def backward(
        self, kept: Tensor, before: State, after: State, to_after: State, to_recurrent: Tensor
    ) -> StepGradient:
        """Gradients, from those of the state after the step.

        Args:
            kept, before, after: as :meth:`forward` left them.
            to_after: may be overwritten; no c stands for zeros.
            to_recurrent: [rows, some × hidden], where the gradient of ``recurrent`` is written, in its own precision.
        """


class LstmStep(RecurrentStep):
    """i, f, o = σ(·), g = tanh(·), c = f∘c + i∘g, h = o∘tanh(c); both parts of the sums have one gradient."""

    kept = 4

    def forward(self, kept: Tensor, recurrent: Tensor, before: State, after: State) -> None:
        assert before.c is not None, "an LSTM has a cell"
        assert after.c is not None, "an LSTM has a cell"
        if self._loops is not None:
            self._loops.run("lstm_forward", kept, Part(recurrent), before.c, after.c, after.h, *before.c.shape)
            return
        hidden = before.h.shape[-1]
        kept.add_(recurrent)
        candidate = kept[:, 2 * hidden : 3 * hidden]
        candidate.mul_(2)
        kept.sigmoid_()
        candidate.mul_(2).sub_(1)
        i, f, g, o = kept.chunk(4, dim=-1)
        torch.mul(f, before.c, out=after.c).addcmul_(i, g)
        torch.mul(_tanh(after.c), o, out=after.h)

    def backward(
        self, kept: Tensor, before: State, after: State, to_after: State, to_recurrent: Tensor
    ) -> StepGradient:
        assert before.c is not None, "an LSTM has a cell"
        assert after.c is not None, "an LSTM has a cell"
        to_h, to_c = to_after
        if self._loops is not None:
            found = _room(to_recurrent, like=kept)
            to_c = torch.zeros_like(to_h) if to_c is None else to_c
            self._loops.run("lstm_backward", kept, before.c, after.c, to_h, to_c, Part(found), *before.c.shape)
            return StepGradient(_settle(found, to_recurrent), None, to_c)
        i, f, g, o = kept.chunk(4, dim=-1)
        bent = _tanh(after.c)
        through = torch.addcmul(to_h, to_h * bent, bent, value=-1).mul_(o)
        to_cell = through if to_c is None else through.add_(to_c)
        slopes = torch.addcmul(kept, kept, kept, value=-1)
        to_i, to_f, to_g, to_o = slopes.chunk(4, dim=-1)
        to_i.mul_(g).mul_(to_cell)
        to_f.mul_(before.c).mul_(to_cell)
        torch.mul(g, g, out=to_g).neg_().add_(1).mul_(i).mul_(to_cell)
        to_o.mul_(bent).mul_(to_h)
        return StepGradient(_settle(slopes, to_recurrent), None, to_cell.mul_(f))


class GruStep(RecurrentStep):
    """r, z = σ(·), n = tanh(x_n + r∘h_n), h = (1−z)∘n + z∘h."""

    kept = 4

    def forward(self, kept: Tensor, recurrent: Tensor, before: State, after: State) -> None:
        if self._loops is not None:
            self._loops.run("gru_forward", kept, Part(recurrent), before.h, after.h, *before.h.shape)
            return
        hidden = before.h.shape[-1]
        kept[:, : 2 * hidden].add_(recurrent[:, : 2 * hidden]).sigmoid_()
        r, z, n, recurrent_n = kept.chunk(4, dim=-1)
        recurrent_n.copy_(recurrent[:, 2 * hidden :])
        n.addcmul_(r, recurrent_n).mul_(2).sigmoid_().mul_(2).sub_(1)
        torch.lerp(n, before.h, z, out=after.h)

    def backward(
        self, kept: Tensor, before: State, after: State, to_after: State, to_recurrent: Tensor
    ) -> StepGradient:
        to_h, hidden = to_after.h, before.h.shape[-1]
        if self._loops is not None:
            found, through = _room(to_recurrent, like=kept), torch.empty_like(to_h)
            to_inputs = kept.new_empty(len(kept), 3 * hidden)
            self._loops.run("gru_backward", kept, before.h, to_h, to_inputs, Part(found), through, *before.h.shape)
            _settle(found, to_recurrent)
            return StepGradient(to_inputs, through, None)
        r, z, n, recurrent_n = kept.chunk(4, dim=-1)
        slopes = torch.addcmul(kept, kept, kept, value=-1)
        to_r, to_z, to_n, to_recurrent_n = slopes.chunk(4, dim=-1)
        torch.addcmul(to_h, to_h, z, value=-1, out=to_n)
        to_n.mul_(torch.mul(n, n).neg_().add_(1))
        to_r.mul_(to_n).mul_(recurrent_n)
        to_z.mul_(to_h).mul_(before.h - n)
        torch.mul(to_n, r, out=to_recurrent_n)
        to_recurrent[:, : 2 * hidden] = slopes[:, : 2 * hidden]
        to_recurrent[:, 2 * hidden :] = to_recurrent_n
        return StepGradient(slopes[:, : 3 * hidden], to_h * z, None)


class GatedStep(RecurrentStep):
    """z, r = σ(·), s̃ = tanh(x + U(r∘s)), s = (1−z)∘s + z∘s̃ (Bahdanau 2015, appendix A.1.1); h stands for s.

    The inputs are the shares of z, r and s̃, ``recurrent`` those of z and r.

    Args:
        U: [hidden, hidden].
        multiplier: makes a matrix W ready for products x Wᵀ.
        loops: None for PyTorch's operations.
    """

    kept = 3

    def __init__(
        self,
        U: Tensor,  # noqa: N803 (the paper's name)
        multiplier: Callable[[Tensor], Product],
        loops: Loops | None = None,
    ) -> None:
        super().__init__(loops)
        self._U, self._multiplier = U, multiplier

    @cached_property
    def _of_state(self) -> Product:
        return self._multiplier(self._U)

    @cached_property
    def _to_state(self) -> Product:
        return self._multiplier(self._U.t())

    def forward(self, kept: Tensor, recurrent: Tensor, before: State, after: State) -> None:
        h = before.h
        if self._loops is not None:
            reset = torch.empty_like(h)
            self._loops.run("gated_open", kept, Part(recurrent), h, reset, *h.shape)
            self._loops.run("gated_forward", kept, self._of_state(reset), h, after.h, *h.shape)
            return
        z, r, candidate = kept.chunk(3, dim=-1)
        kept[:, : 2 * h.shape[-1]].add_(recurrent).sigmoid_()
        candidate.add_(self._of_state(r * h)).mul_(2).sigmoid_().mul_(2).sub_(1)
        torch.lerp(h, candidate, z, out=after.h)

    def backward(
        self, kept: Tensor, before: State, after: State, to_after: State, to_recurrent: Tensor
    ) -> StepGradient:
        h, to_h, hidden = before.h, to_after.h, before.h.shape[-1]
        if self._loops is not None:
            slopes, to_candidate, to_before = torch.empty_like(kept), torch.empty_like(h), torch.empty_like(h)
            self._loops.run("gated_backward", kept, h, to_h, slopes, to_candidate, *h.shape)
            through = self._to_state(to_candidate)
            self._loops.run("gated_close", kept, h, to_h, through, slopes, to_before, *h.shape)
        else:
            z, r, candidate = kept.chunk(3, dim=-1)
            slopes = torch.addcmul(kept, kept, kept, value=-1)
            to_z, to_r, to_candidate = slopes.chunk(3, dim=-1)
            torch.mul(to_h, z, out=to_candidate).mul_(torch.mul(candidate, candidate).neg_().add_(1))
            to_z.mul_(to_h).mul_(candidate - h)
            through = self._to_state(to_candidate)
            to_r.mul_(through).mul_(h)
            to_before = torch.addcmul(to_h, to_h, z, value=-1).addcmul_(through, r)
        to_recurrent.copy_(slopes[:, : 2 * hidden])
        return StepGradient(slopes, to_before, None)

    @staticmethod
    def multiplied(gates: Tensor, h: Tensor) -> Tensor:
        """r∘s, which U was multiplied with, from what was kept and the states before."""
        return gates[:, h.shape[-1] : 2 * h.shape[-1]] * h


def build_step(
    kind: CellKind,
    U: Tensor | None,  # noqa: N803 (the paper's name)
    multiplier: Callable[[Tensor], Product],
    *,
    loops: Loops | None,
) -> RecurrentStep:
    """The step of a network; U [hidden, hidden] and what makes it ready for products are for the gated unit."""
    if kind == "gated":
        assert U is not None, "the gated unit multiplies with U"
        return GatedStep(U, multiplier, loops)
    return LstmStep(loops) if kind == "lstm" else GruStep(loops)


def _tanh(value: Tensor) -> Tensor:
    return torch.mul(value, 2).sigmoid_().mul_(2).sub_(1)


def _room(wanted: Tensor, *, like: Tensor) -> Tensor:
    """Where loops may write numbers such as ``like``: where they are wanted, or beside it for :func:`_settle`."""
    return wanted if wanted.dtype == like.dtype else like.new_empty(wanted.shape)


def _settle(found: Tensor, wanted: Tensor) -> Tensor:
    """Write what was found where it is wanted, unless it is there."""
    if found is not wanted:
        wanted.copy_(found)
    return found
