"""Recurrent cells with their gradients written out, for passes that go through time by themselves.

Gate order and formulas of the LSTM and the GRU are those of ``torch.nn.LSTMCell`` and ``torch.nn.GRUCell``; the gated
unit is that of Bahdanau et al. 2015, which applies the reset gate before the product. A step works on rows side by
side, [rows, ...]. Its sums come in two parts, the inputs (everything but the state) and ``recurrent`` (the product with
the state), and its results are written where the pass saves them.

PyTorch takes a step as a row of operations, a compiled CPU operation (:mod:`regard.ops.cpu.compiled`) as one.
tanh x = 2 σ(2x) − 1 in both; PyTorch computes σ about seven times faster than tanh on a processor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from regard.ops.cpu.compiled import CompiledOps, Strided
from regard.ops.linear import Product

if TYPE_CHECKING:
    from jaxtyping import Float

CellKind = Literal["lstm", "gru", "gated"]


class CellState(NamedTuple):
    """The state of a recurrent network, or its gradient: h and, of an LSTM, c, both [rows, hidden]."""

    h: Tensor
    c: Tensor | None


class StepGradient(NamedTuple):
    """Gradients of one step: of the inputs, and of h (not through ``recurrent``) and c before it."""

    inputs: Tensor
    h: Tensor | None
    c: Tensor | None


class RecurrentStep(ABC):
    """One step of a recurrent network, forwards and backwards, by PyTorch or by compiled CPU operations."""

    num_saved: ClassVar[int]
    """How many vectors of size ``hidden`` are saved for each row; the inputs come in the first of them."""

    def __init__(self, compiled: CompiledOps | None = None) -> None:
        self._compiled = compiled

    def forward(
        self,
        saved: Float[Tensor, "rows saved"],
        recurrent: Float[Tensor, "rows gates"],
        before: CellState,
        after: CellState,
    ) -> None:
        """Take the step.

        Args:
            saved: [rows, num_saved × hidden], whose first columns hold the inputs; overwritten with what
                :meth:`backward` needs.
            recurrent: [rows, some × hidden].
            before, after: the states; ``after`` is written.
        """
        if self._compiled is None:
            self._forward(saved, recurrent, before, after)
        else:
            self._compiled_forward(self._compiled, saved, recurrent, before, after)

    def backward(
        self,
        saved: Float[Tensor, "rows saved"],
        before: CellState,
        after: CellState,
        grad_after: CellState,
        grad_recurrent: Float[Tensor, "rows gates"],
    ) -> StepGradient:
        """Gradients, from those of the state after the step.

        Args:
            saved, before, after: as :meth:`forward` left them.
            grad_after: may be overwritten; no c stands for zeros.
            grad_recurrent: [rows, some × hidden], where the gradient of ``recurrent`` is written, in its own precision.
        """
        if self._compiled is None:
            return self._backward(saved, before, after, grad_after, grad_recurrent)
        return self._compiled_backward(self._compiled, saved, before, after, grad_after, grad_recurrent)

    @abstractmethod
    def _forward(self, saved: Tensor, recurrent: Tensor, before: CellState, after: CellState) -> None: ...

    @abstractmethod
    def _compiled_forward(
        self, ops: CompiledOps, saved: Tensor, recurrent: Tensor, before: CellState, after: CellState
    ) -> None: ...

    @abstractmethod
    def _backward(
        self, saved: Tensor, before: CellState, after: CellState, grad_after: CellState, grad_recurrent: Tensor
    ) -> StepGradient: ...

    @abstractmethod
    def _compiled_backward(
        self, ops: CompiledOps, saved: Tensor, before: CellState, after: CellState, grad: CellState, out: Tensor
    ) -> StepGradient: ...


class LstmStep(RecurrentStep):
    """i, f, o = σ(·), g = tanh(·), c = f∘c + i∘g, h = o∘tanh(c); both parts of the sums have one gradient."""

    num_saved = 4

    def _forward(self, saved: Tensor, recurrent: Tensor, before: CellState, after: CellState) -> None:
        hidden = before.h.shape[-1]
        saved.add_(recurrent)
        candidate = saved[:, 2 * hidden : 3 * hidden]
        candidate.mul_(2)
        saved.sigmoid_()
        candidate.mul_(2).sub_(1)
        i, f, g, o = saved.chunk(4, dim=-1)
        cell = _cell(after)
        torch.mul(f, _cell(before), out=cell).addcmul_(i, g)
        torch.mul(_tanh(cell), o, out=after.h)

    def _compiled_forward(
        self, ops: CompiledOps, saved: Tensor, recurrent: Tensor, before: CellState, after: CellState
    ) -> None:
        ops.run("lstm_forward", saved, Strided(recurrent), _cell(before), _cell(after), after.h, *before.h.shape)

    def _backward(
        self, saved: Tensor, before: CellState, after: CellState, grad_after: CellState, grad_recurrent: Tensor
    ) -> StepGradient:
        grad_h, grad_c = grad_after
        i, f, g, o = saved.chunk(4, dim=-1)
        tanh_c = _tanh(_cell(after))
        through_h = torch.addcmul(grad_h, grad_h * tanh_c, tanh_c, value=-1).mul_(o)
        grad_cell = through_h if grad_c is None else through_h.add_(grad_c)
        derivative = torch.addcmul(saved, saved, saved, value=-1)
        grad_i, grad_f, grad_g, grad_o = derivative.chunk(4, dim=-1)
        grad_i.mul_(g).mul_(grad_cell)
        grad_f.mul_(_cell(before)).mul_(grad_cell)
        torch.mul(g, g, out=grad_g).neg_().add_(1).mul_(i).mul_(grad_cell)
        grad_o.mul_(tanh_c).mul_(grad_h)
        return StepGradient(_copy_unless_same(derivative, grad_recurrent), None, grad_cell.mul_(f))

    def _compiled_backward(
        self, ops: CompiledOps, saved: Tensor, before: CellState, after: CellState, grad: CellState, out: Tensor
    ) -> StepGradient:
        found = _scratch(out, like=saved)
        grad_c = torch.zeros_like(grad.h) if grad.c is None else grad.c
        states = (_cell(before), _cell(after), grad.h, grad_c)
        ops.run("lstm_backward", saved, *states, Strided(found), *before.h.shape)
        return StepGradient(_copy_unless_same(found, out), None, grad_c)


class GruStep(RecurrentStep):
    """r, z = σ(·), n = tanh(x_n + r∘h_n), h = (1−z)∘n + z∘h."""

    num_saved = 4

    def _forward(self, saved: Tensor, recurrent: Tensor, before: CellState, after: CellState) -> None:
        hidden = before.h.shape[-1]
        saved[:, : 2 * hidden].add_(recurrent[:, : 2 * hidden]).sigmoid_()
        r, z, n, recurrent_n = saved.chunk(4, dim=-1)
        recurrent_n.copy_(recurrent[:, 2 * hidden :])
        n.addcmul_(r, recurrent_n).mul_(2).sigmoid_().mul_(2).sub_(1)
        torch.lerp(n, before.h, z, out=after.h)

    def _compiled_forward(
        self, ops: CompiledOps, saved: Tensor, recurrent: Tensor, before: CellState, after: CellState
    ) -> None:
        ops.run("gru_forward", saved, Strided(recurrent), before.h, after.h, *before.h.shape)

    def _backward(
        self, saved: Tensor, before: CellState, after: CellState, grad_after: CellState, grad_recurrent: Tensor
    ) -> StepGradient:
        grad_h, hidden = grad_after.h, before.h.shape[-1]
        r, z, n, recurrent_n = saved.chunk(4, dim=-1)
        derivative = torch.addcmul(saved, saved, saved, value=-1)
        grad_r, grad_z, grad_n, grad_recurrent_n = derivative.chunk(4, dim=-1)
        torch.addcmul(grad_h, grad_h, z, value=-1, out=grad_n)
        grad_n.mul_(torch.mul(n, n).neg_().add_(1))
        grad_r.mul_(grad_n).mul_(recurrent_n)
        grad_z.mul_(grad_h).mul_(before.h - n)
        torch.mul(grad_n, r, out=grad_recurrent_n)
        grad_recurrent[:, : 2 * hidden] = derivative[:, : 2 * hidden]
        grad_recurrent[:, 2 * hidden :] = grad_recurrent_n
        return StepGradient(derivative[:, : 3 * hidden], grad_h * z, None)

    def _compiled_backward(
        self, ops: CompiledOps, saved: Tensor, before: CellState, after: CellState, grad: CellState, out: Tensor
    ) -> StepGradient:
        found, grad_before = _scratch(out, like=saved), torch.empty_like(grad.h)
        grad_inputs = saved.new_empty(len(saved), 3 * before.h.shape[-1])
        ops.run("gru_backward", saved, before.h, grad.h, grad_inputs, Strided(found), grad_before, *before.h.shape)
        _copy_unless_same(found, out)
        return StepGradient(grad_inputs, grad_before, None)


class GatedStep(RecurrentStep):
    """z, r = σ(·), s̃ = tanh(x + U(r∘s)), s = (1−z)∘s + z∘s̃ (Bahdanau 2015, appendix A.1.1); h stands for s.

    The inputs are the shares of z, r and s̃, ``recurrent`` those of z and r.

    Args:
        U: [hidden, hidden].
        prepare: makes a matrix W ready for products x Wᵀ.
        compiled: None for PyTorch's operations.
    """

    num_saved = 3

    def __init__(
        self,
        U: Tensor,  # noqa: N803 (the paper's name)
        prepare: Callable[[Tensor], Product],
        compiled: CompiledOps | None = None,
    ) -> None:
        super().__init__(compiled)
        self._U, self._prepare = U, prepare

    @cached_property
    def _inner(self) -> Product:
        return self._prepare(self._U)

    @cached_property
    def _grad_inner(self) -> Product:
        return self._prepare(self._U.t())

    def _forward(self, saved: Tensor, recurrent: Tensor, before: CellState, after: CellState) -> None:
        h = before.h
        z, r, candidate = saved.chunk(3, dim=-1)
        saved[:, : 2 * h.shape[-1]].add_(recurrent).sigmoid_()
        candidate.add_(self._inner(r * h)).mul_(2).sigmoid_().mul_(2).sub_(1)
        torch.lerp(h, candidate, z, out=after.h)

    def _compiled_forward(
        self, ops: CompiledOps, saved: Tensor, recurrent: Tensor, before: CellState, after: CellState
    ) -> None:
        h, reset = before.h, torch.empty_like(before.h)
        ops.run("gated_gates", saved, Strided(recurrent), h, reset, *h.shape)
        ops.run("gated_forward", saved, self._inner(reset), h, after.h, *h.shape)

    def _backward(
        self, saved: Tensor, before: CellState, after: CellState, grad_after: CellState, grad_recurrent: Tensor
    ) -> StepGradient:
        h, grad_h = before.h, grad_after.h
        z, r, candidate = saved.chunk(3, dim=-1)
        derivative = torch.addcmul(saved, saved, saved, value=-1)
        grad_z, grad_r, grad_candidate = derivative.chunk(3, dim=-1)
        torch.mul(grad_h, z, out=grad_candidate).mul_(torch.mul(candidate, candidate).neg_().add_(1))
        grad_z.mul_(grad_h).mul_(candidate - h)
        grad_reset = self._grad_inner(grad_candidate)
        grad_r.mul_(grad_reset).mul_(h)
        grad_before = torch.addcmul(grad_h, grad_h, z, value=-1).addcmul_(grad_reset, r)
        grad_recurrent.copy_(derivative[:, : 2 * h.shape[-1]])
        return StepGradient(derivative, grad_before, None)

    def _compiled_backward(
        self, ops: CompiledOps, saved: Tensor, before: CellState, after: CellState, grad: CellState, out: Tensor
    ) -> StepGradient:
        h, derivative = before.h, torch.empty_like(saved)
        grad_candidate, grad_before = torch.empty_like(h), torch.empty_like(h)
        ops.run("gated_backward", saved, h, grad.h, derivative, grad_candidate, *h.shape)
        grad_reset = self._grad_inner(grad_candidate)
        ops.run("gated_reset_backward", saved, h, grad.h, grad_reset, derivative, grad_before, *h.shape)
        out.copy_(derivative[:, : 2 * h.shape[-1]])
        return StepGradient(derivative, grad_before, None)

    @staticmethod
    def reset_state(gates: Tensor, h: Tensor) -> Tensor:
        """r∘s, which U is multiplied with, from the saved activations and the states before."""
        return gates[:, h.shape[-1] : 2 * h.shape[-1]] * h


def build_step(
    kind: CellKind,
    U: Tensor | None,  # noqa: N803 (the paper's name)
    prepare: Callable[[Tensor], Product],
    *,
    compiled: CompiledOps | None,
) -> RecurrentStep:
    """The step of a network; U [hidden, hidden] and ``prepare``, for products with it, are those of the gated unit."""
    if kind == "gated":
        assert U is not None, "the gated unit multiplies with U"
        return GatedStep(U, prepare, compiled)
    return LstmStep(compiled) if kind == "lstm" else GruStep(compiled)


def _cell(state: CellState) -> Tensor:
    assert state.c is not None, "an LSTM has a cell"
    return state.c


def _tanh(value: Tensor) -> Tensor:
    return torch.mul(value, 2).sigmoid_().mul_(2).sub_(1)


def _scratch(output: Tensor, *, like: Tensor) -> Tensor:
    """A buffer of the dtype of ``like`` for a gradient: its output itself where the dtypes agree."""
    return output if output.dtype == like.dtype else like.new_empty(output.shape)


def _copy_unless_same(scratch: Tensor, output: Tensor) -> Tensor:
    """Copy the scratch gradient into the output; no-op if they are the same tensor."""
    if scratch is not output:
        output.copy_(scratch)
    return scratch
