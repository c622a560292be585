"""A recurrent network over whole targets, with its gradient written out; no attention stands between two steps.

    h_t = cell(words_t, h_{t−1})

What :mod:`regard.ops.attention_scan` does for networks that look before every step: real tokens alone are read,
the product with the state is all that is left to each step, and the gradient of each matrix is one product over all
tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from regard.ops.autocast import Precision, current_precision
from regard.ops.cells import CellKind, GatedStep, RecurrentStep, State, build_step
from regard.ops.cpu.compiled import current_loops
from regard.ops.linear import Product, multiplier
from regard.ops.packing import Packing


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
            seen = _Ready(packing, cell, operands, precision).run()
        needed = operands._replace(words=seen.h)  # what the words add is not needed again
        ctx.save_for_backward(*needed, *seen)
        ctx.packing, ctx.cell, ctx.precision = packing, cell, precision
        return seen.h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        count = len(ReadOperands._fields)
        operands, seen = ReadOperands(*ctx.saved_tensors[:count]), _Seen(*ctx.saved_tensors[count:])
        with torch.autocast(operands.h.device.type, enabled=False):
            ready = _Ready(ctx.packing, ctx.cell, operands, ctx.precision)
            return None, None, *_Backward(ready, seen, gradients[0]).run()


class _Seen(NamedTuple):
    """What a reading finds, of all tokens: the states h and, of an LSTM, c, and what the network keeps."""

    h: Tensor
    c: Tensor | None
    kept: Tensor

    def state(self, tokens: slice) -> State:
        """After these tokens."""
        return State(self.h[tokens], None if self.c is None else self.c[tokens])


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
        loops = current_loops(self.operands.h.device, self.precision.sums)
        return build_step(self.kind, self.operands.U, self.multiplier, loops=loops)

    @cached_property
    def first(self) -> State:
        """The states before all tokens."""
        h, c, sums = self.operands.h, self.operands.c, self.precision.sums
        return State(h.to(sums), None if c is None else c.to(sums))

    def multiplier(self, matrix: Tensor) -> Product:
        """The matrix ready for products in the precision of the pass."""
        return multiplier(matrix, self.precision.products)

    def run(self) -> _Seen:
        """Read all tokens."""
        tokens, hidden, words = len(self.packing), self.first.h.shape[1], self.operands.words
        of_state = multiplier(self.operands.of_state, self.precision.products, self.operands.bias)
        new, state = self.first.h.new_empty, self.first
        kept = new(tokens, self.cell.kept * hidden)
        kept[:, : words.shape[1]] = words
        seen = _Seen(new(tokens, hidden), None if state.c is None else new(tokens, hidden), kept)
        for step in self.packing.steps:
            before = State(step.keep(state.h), None if state.c is None else step.keep(state.c))
            state = seen.state(step.tokens)
            self.cell.forward(kept[step.tokens], of_state(before.h), before, state)
        return seen


class _Backward:
    """The walk back. Gradients of what is multiplied with a matrix are written token by token and multiplied once."""

    def __init__(self, ready: _Ready, seen: _Seen, to_h: Tensor) -> None:
        self.ready, self.seen, self.to_h = ready, seen, to_h
        self.packing, self.operands = ready.packing, ready.operands
        self.h_before = torch.cat([ready.first.h, seen.h]).index_select(0, self.packing.before())
        tokens, gates = len(self.packing), len(self.operands.of_state)
        self.to_recurrent = self.h_before.new_empty(tokens, gates, dtype=ready.precision.products)
        width = gates if self.operands.U is None else gates + len(self.operands.U)
        lstm = ready.kind == "lstm"  # both parts of its sums have one gradient
        self.to_words = self.to_recurrent if lstm else self.to_recurrent.new_empty(tokens, width)

    def run(self) -> tuple[Tensor | None, ...]:
        """The gradients of all operands, in their order."""
        ready, steps, to_state = self.ready, self.packing.steps, self.ready.multiplier(self.operands.of_state.t())
        later = State(torch.zeros_like(self.h_before[steps[-1].tokens]), None)
        for number, step in reversed(list(enumerate(steps))):
            tokens, earlier = step.tokens, slice(0, 0) if number == 0 else steps[number - 1].tokens
            c = ready.first.c if number == 0 or self.seen.c is None else self.seen.c[earlier]
            before = State(self.h_before[tokens], None if c is None else step.keep(c))
            to_after = State(later.h + self.to_h[tokens], later.c)
            to_recurrent = self.to_recurrent[tokens]
            gradient = ready.cell.backward(
                self.seen.kept[tokens], before, self.seen.state(tokens), to_after, to_recurrent
            )
            if ready.kind != "lstm":
                self.to_words[tokens] = gradient.inputs
            to_h = to_state(to_recurrent).to(ready.precision.sums)
            if gradient.h is not None:
                to_h += gradient.h
            rows_before = len(ready.first.h) if number == 0 else earlier.stop - earlier.start
            to_c = None if gradient.c is None else step.give_back(gradient.c, rows_before)
            later = State(step.give_back(to_h, rows_before), to_c)
        return self._operands(later)

    def _operands(self, to_first: State) -> tuple[Tensor | None, ...]:
        precision, operands = self.ready.precision, self.operands
        to_state = (self.to_recurrent.t() @ self.h_before.to(precision.products)).to(precision.sums)
        to_inner = None
        if operands.U is not None:
            multiplied = GatedStep.multiplied(self.seen.kept, self.h_before).to(precision.products)
            to_inner = self.to_words[:, -len(operands.U) :].t() @ multiplied
        return tuple(
            ReadOperands(
                words=self.to_words,
                h=to_first.h,
                c=to_first.c,
                of_state=to_state,
                bias=None if operands.bias is None else self.to_recurrent.sum(dim=0),
                U=to_inner,
            )
        )
