"""A recurrent network over whole targets, with its gradient written out; no attention stands between two steps.

    h_t = cell(words_t, h_{t−1})

What :mod:`regard.kernels.attend` does for networks that look before every step: real tokens alone are read, the product
with the state is all that is left to each step, and the gradient of each matrix is one product over all tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from regard.kernels.packing import Packing
from regard.kernels.precision import Precision, current_precision
from regard.kernels.products import Product, multiplier
from regard.kernels.recurrent import CellKind, GatedStep, Kept, RecurrentStep, build_step


class ReadOperands(NamedTuple):
    """What a reading is a function of.

    Attributes:
        words: [tokens, gates], all that enters the gates but the state, biases included; packed.
        h, c: [rows, hidden], the first states of all rows that are read; c of an LSTM only.
        of_state: [gates, hidden], what the state is multiplied with.
        bias: [gates], of that product, or None.
        U: [hidden, hidden] of the gated unit, else None.
    """

    words: Tensor
    h: Tensor
    c: Tensor | None
    of_state: Tensor
    bias: Tensor | None = None
    U: Tensor | None = None


def read(packing: Packing, cell: CellKind, operands: ReadOperands) -> Tensor:
    """h after each token, [tokens, hidden]."""
    h: Tensor = _Read.apply(packing, cell, *operands)  # type: ignore[no-untyped-call]
    return h


class _Read(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, packing: Packing, cell: CellKind, *tensors: Tensor | None) -> Tensor:
        operands = ReadOperands(*tensors)  # type: ignore[arg-type]
        precision = current_precision(operands.of_state)
        with torch.autocast(operands.h.device.type, enabled=False):
            states, kept = _Ready(packing, cell, operands, precision).run()
        h = torch.cat(states)
        needed = operands._replace(words=h)  # what the words add is not needed again
        ctx.save_for_backward(*needed, *(tensor for each in kept for tensor in each))
        ctx.packing, ctx.cell, ctx.precision = packing, cell, precision
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        count = len(ReadOperands._fields)
        operands, kept = ReadOperands(*ctx.saved_tensors[:count]), ctx.saved_tensors[count:]
        with torch.autocast(operands.h.device.type, enabled=False):
            ready = _Ready(ctx.packing, ctx.cell, operands, ctx.precision)
            seen = [Kept(*each) for each in zip(kept[::2], kept[1::2], strict=True)]
            return None, None, *_Backward(ready, seen, gradients[0]).run()


@dataclass(frozen=True)
class _Ready:
    """The operands of one reading; in the backward pass ``words`` hold the states after them."""

    packing: Packing
    kind: CellKind
    operands: ReadOperands
    precision: Precision

    @cached_property
    def cell(self) -> RecurrentStep:
        """The steps of the network."""
        return build_step(self.kind, self.operands.U, self.multiplier)

    def multiplier(self, matrix: Tensor) -> Product:
        """The matrix ready for products in the precision of the pass."""
        return multiplier(matrix, self.precision.products)

    def run(self) -> tuple[list[Tensor], list[Kept]]:
        """The states after each step, and what their gradients need."""
        sums, bias = self.precision.sums, self.operands.bias
        of_state = self.multiplier(self.operands.of_state)
        h, c = self.operands.h.to(sums), None if self.operands.c is None else self.operands.c.to(sums)
        states, seen = [], []
        for step in self.packing.steps:
            h, c = step.keep(h), None if c is None else step.keep(c)
            recurrent = of_state(h)
            if bias is not None:
                recurrent = recurrent.add_(bias)
            inputs = self.operands.words[step.tokens].to(sums, copy=True)
            h, kept = self.cell.forward(inputs, recurrent, h, c)
            c = kept.c
            states.append(h)
            seen.append(kept)
        return states, seen


class _Backward:
    """The walk back. Gradients of what is multiplied with a matrix are written token by token and multiplied once."""

    def __init__(self, ready: _Ready, seen: list[Kept], to_h: Tensor) -> None:
        self.ready, self.seen, self.to_h = ready, seen, to_h
        self.packing, self.operands = ready.packing, ready.operands
        sums = ready.precision.sums
        self.first = self.operands.h.to(sums)
        self.h_before = torch.cat([self.first, self.operands.words]).index_select(0, self.packing.before())
        tokens, gates = len(self.packing), len(self.operands.of_state)
        self.to_recurrent = self.h_before.new_empty(tokens, gates, dtype=ready.precision.products)
        width = gates if self.operands.U is None else gates + len(self.operands.U)
        lstm = ready.kind == "lstm"  # both parts of its sums have one gradient
        self.to_words = self.to_recurrent if lstm else self.to_recurrent.new_empty(tokens, width)

    def run(self) -> tuple[Tensor | None, ...]:
        """The gradients of all operands, in their order."""
        ready, to_state = self.ready, self.ready.multiplier(self.operands.of_state.t())
        later_h, later_c = torch.zeros_like(self.h_before[self.packing.steps[-1].tokens]), None
        for number, step in reversed(list(enumerate(self.packing.steps))):
            tokens = step.tokens
            c = self._cell_before(number)
            gradient = ready.cell.backward(
                self.seen[number],
                self.h_before[tokens],
                None if c is None else step.keep(c),
                later_h + self.to_h[tokens],
                later_c,
            )
            self.to_recurrent[tokens] = gradient.recurrent
            if gradient.inputs is not gradient.recurrent:
                self.to_words[tokens] = gradient.inputs
            before = to_state(self.to_recurrent[tokens]).to(ready.precision.sums)
            if gradient.h is not None:
                before += gradient.h
            rows_before = len(self.first) if number == 0 else len(self.seen[number - 1].gates)
            later_h = step.give_back(before, rows_before)
            later_c = None if gradient.c is None else step.give_back(gradient.c, rows_before)
        return self._operands(later_h, later_c)

    def _cell_before(self, number: int) -> Tensor | None:
        if number:
            return self.seen[number - 1].c
        c = self.operands.c
        return None if c is None else c.to(self.ready.precision.sums)

    def _operands(self, to_h: Tensor, to_c: Tensor | None) -> tuple[Tensor | None, ...]:
        precision, operands = self.ready.precision, self.operands
        to_state = (self.to_recurrent.t() @ self.h_before.to(precision.products)).to(precision.sums)
        to_inner = None
        if operands.U is not None:
            gates = torch.cat([kept.gates for kept in self.seen])
            multiplied = GatedStep.multiplied(gates, self.h_before).to(precision.products)
            to_inner = self.to_words[:, -len(operands.U) :].t() @ multiplied
        return tuple(
            ReadOperands(
                words=self.to_words,
                h=to_h,
                c=to_c,
                of_state=to_state,
                bias=None if operands.bias is None else self.to_recurrent.sum(dim=0),
                U=to_inner,
            )
        )
