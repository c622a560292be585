"""What the twins of recurrent decoders have in common: the scan of a cell, and which product comes first."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from regard.decoders.cells import Cell, Hidden
from regard.ops.dropout import dropout
from regard.ops.packing import Packing
from regard.ops.recurrent_scan import scan
from regard.ops.scan_operands import Operands, Scan

SUM_COST = 40
"""Measured: reading an element of the values in a step, forwards and backwards, in multiplications of a product."""


def drop(module: nn.Dropout, x: Tensor) -> Tensor:
    """A dropout layer with cheap masks."""
    return dropout(x, module.p, training=module.training)


def scan_cell(cell: Cell, inputs: Tensor, first: Hidden, packing: Packing) -> Tensor:
    """h after every token [tokens, hidden], of a cell without attention.

    Args:
        cell: an LSTM or a GRU.
        inputs: [tokens, gates], what all parts of its input add to the gates, packed.
        first: the first states of each input, [batch, hidden].
        packing: the real tokens.
    """
    states = {name: state.index_select(0, packing.first_inputs) for name, state in first.items()}
    operands = Operands(inputs, states["h"], states.get("c"), cell.weight_hh, cell.bias_hh)
    return scan(Scan(packing, "lstm" if "c" in states else "gru"), operands).h


def project_values_first(values: Tensor, width: int, packing: Packing) -> bool:
    """Whether projecting values [batch, position, dim] by a matrix [width, dim] before their weighted sum is less work.

    Either way there are the product and the gradients of the matrix and of its operand, of as many rows as there are
    positions or tokens; values that need no gradient save the last. The weighted sum reads its values at every step,
    forwards and backwards, which takes as long as some :data:`SUM_COST` multiplications per element.
    """
    batch, positions, dim = values.shape
    rows, reads = batch * positions, SUM_COST * sum(step.num_inputs for step in packing.steps) * positions
    before = rows * (3 if values.requires_grad else 2) * dim * width + reads * width
    after = len(packing) * 3 * dim * width + reads * dim
    return before < after


def stack_steps(steps: list[Tensor], *, batch: int, rows: int, time: int) -> Tensor:
    """Stack per-step blocks [inputs, columns, ...] into [batch, rows, time, ...], zeros where there is no token."""
    stacked = torch.stack([_pad(step, batch, rows) for step in steps], dim=2)
    if stacked.shape[2] == time:
        return stacked
    missing = stacked.new_zeros(*stacked.shape[:2], time - stacked.shape[2], *stacked.shape[3:])
    return torch.cat([stacked, missing], dim=2)


def _pad(step: Tensor, batch: int, rows: int) -> Tensor:
    inputs, columns = step.shape[:2]
    if (inputs, columns) == (batch, rows):
        return step
    rest = [0, 0] * (step.dim() - 2)
    return torch.nn.functional.pad(step, [*rest, 0, rows - columns, 0, batch - inputs])
