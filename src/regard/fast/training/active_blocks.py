"""Walking a recurrent decoder over whole targets without stepping on what has ended.

Captions of one batch differ in length. At step t only a leading block of inputs and rows still has words to read when
the batch is sorted by length, so each step works on that block alone and the results are padded back with zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor


def active_blocks(lengths: Tensor | None, *, batch: int, rows: int, time: int) -> list[tuple[int, int]]:
    """For each step the smallest leading block (inputs, rows) that holds every unfinished row.

    Args:
        lengths: int64 [batch, rows], number of real tokens of each row; None when every row is full.
        batch, rows, time: sizes of the targets.

    Returns:
        ``time`` pairs; a pair is (0, 0) when nothing is left to read. Blocks never grow.
    """
    if lengths is None:
        return [(batch, rows)] * time
    steps = torch.arange(time, device=lengths.device)
    longest_input = _suffix_maximum(lengths.amax(dim=1))
    longest_row = _suffix_maximum(lengths.amax(dim=0))
    inputs = (longest_input.unsqueeze(0) > steps.unsqueeze(1)).sum(dim=1).tolist()
    columns = (longest_row.unsqueeze(0) > steps.unsqueeze(1)).sum(dim=1).tolist()
    return list(zip(inputs, columns, strict=True))


def _suffix_maximum(values: Tensor) -> Tensor:
    return values.flip(0).cummax(dim=0).values.flip(0)


def stack_steps(steps: list[Tensor], *, batch: int, rows: int, time: int) -> Tensor:
    """Stack per-step blocks [inputs, rows', ...] into [batch, rows, time, ...], zeros where nothing was read."""
    padded = [_pad(step, batch, rows) for step in steps]
    stacked = torch.stack(padded, dim=2)
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
