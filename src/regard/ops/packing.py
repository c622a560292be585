"""The packed layout: real tokens one after another, which is all that a pass over ragged targets computes.

Captions of one batch differ in length. A pass goes through time; at each step the rows that still have a token stand
together, input by input, so that every product is taken for real tokens alone. Attention, which all rows of an input
share, sees the same rows as a padded block [inputs, columns].

Captions of one image often begin alike ("a dog …"), and a network that starts from the image alone is then in one
state. :func:`share_prefixes` makes one row of such rows until they part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Int, Shaped


@dataclass(frozen=True)
class GroupedRows:
    """The layout of rows [rows, ...] that belong to some inputs and are ordered by input.

    Attributes:
        num_inputs, num_columns: shape of the smallest leading block that holds them.
        block_index: int64 [rows], index of each row in that block, flattened; None when they fill it in order.
        offsets: int64 [num_inputs + 1], on the CPU: the rows of input i are ``offsets[i]`` to ``offsets[i + 1]``.
    """

    num_inputs: int
    num_columns: int
    block_index: Tensor | None
    offsets: Tensor

    @classmethod
    def full(cls, num_inputs: int, num_columns: int) -> GroupedRows:
        """The same number of rows for every input."""
        return cls(num_inputs, num_columns, None, torch.arange(num_inputs + 1) * num_columns)

    @classmethod
    def of(cls, batch_index: Tensor, num_inputs: int) -> GroupedRows:
        """Rows of these inputs (int64 [rows], ascending, on the CPU)."""
        counts = torch.bincount(batch_index, minlength=num_inputs)
        offsets = torch.zeros(num_inputs + 1, dtype=torch.long)
        torch.cumsum(counts, dim=0, out=offsets[1:])
        columns = int(counts.amax())
        if len(batch_index) == num_inputs * columns:
            return cls(num_inputs, columns, None, offsets)
        first = torch.arange(num_inputs) * columns - offsets[:-1]
        block_index = torch.arange(len(batch_index)) + first.index_select(0, batch_index)
        return cls(num_inputs, columns, block_index, offsets)

    def batch_index(self) -> Int[Tensor, " rows"]:
        """int64 [rows], the input of each."""
        return torch.arange(self.num_inputs).repeat_interleave(self.offsets.diff())

    def to_block(self, packed: Shaped[Tensor, "rows dim"]) -> Shaped[Tensor, "inputs columns dim"]:
        """[rows, dim] to [num_inputs, num_columns, dim], zeros where there is no row."""
        if self.block_index is not None:
            zeros = packed.new_zeros(self.num_inputs * self.num_columns, packed.shape[-1])
            packed = zeros.index_copy_(0, self.block_index, packed)
        return packed.view(self.num_inputs, self.num_columns, -1)

    def from_block(self, block: Shaped[Tensor, "inputs columns dim"]) -> Shaped[Tensor, "rows dim"]:
        """[num_inputs, num_columns, dim] to [rows, dim]."""
        flat = block.flatten(0, 1)
        return flat if self.block_index is None else flat.index_select(0, self.block_index)


@dataclass(frozen=True)
class TimeStep(GroupedRows):
    """One step of time, and the rows that have a token in it.

    Attributes:
        tokens: which of the packed tokens these are.
        parents: int64 [rows], the row of the step before that each continues, a row that parts more than once; None
            when they are the same.
    """

    tokens: slice
    parents: Tensor | None

    def carry(self, before: Shaped[Tensor, "rows_before dim"]) -> Shaped[Tensor, "rows dim"]:
        """The rows [rows, dim] that go on, of those [rows before, dim] of the step before."""
        return before if self.parents is None else before.index_select(0, self.parents)

    def carry_back(self, gradient: Shaped[Tensor, "rows dim"], rows_before: int) -> Shaped[Tensor, "rows_before dim"]:
        """The gradient of :meth:`carry`: zeros for the rows that have ended, sums for those that part."""
        if self.parents is None:
            return gradient
        return gradient.new_zeros(rows_before, gradient.shape[-1]).index_add_(0, self.parents, gradient)


@dataclass(frozen=True)
class Packing:
    """The real tokens of targets [batch, rows, time], ordered by step, then by input, then by row.

    Attributes:
        shape: batch, rows, time of the targets.
        index: int64 [tokens], index of each packed token in the flattened targets.
        inputs: int64 [tokens], the input that each token belongs to.
        slots: int64 [tokens], index of each token when those of an input stand side by side, ``most`` slots per input.
        most: the largest number of tokens of one input.
        steps: the steps of time that have a token.
    """

    shape: tuple[int, int, int]
    index: Tensor
    inputs: Tensor
    slots: Tensor
    most: int
    steps: tuple[TimeStep, ...]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def first_inputs(self) -> Tensor:
        """int64 [rows], the input of each row that has a token, in the order of the first step."""
        return self.inputs[self.steps[0].tokens]

    def pack(self, padded: Tensor) -> Tensor:
        """[batch, rows, time, ...] to [tokens, ...]."""
        return padded.flatten(0, 2).index_select(0, self.index)

    def unpack(self, packed: Shaped[Tensor, "tokens dim"]) -> Shaped[Tensor, "batch rows time dim"]:
        """[tokens, dim] to [batch, rows, time, dim], zeros where there is no token."""
        batch, rows, time = self.shape
        return _spread(packed, self.index, batch * rows * time).view(batch, rows, time, -1)

    def to_inputs(self, packed: Shaped[Tensor, "tokens dim"]) -> Shaped[Tensor, "batch most dim"]:
        """[tokens, dim] to [batch, most, dim], all tokens of an input side by side and then zeros."""
        batch = self.shape[0]
        return _spread(packed, self.slots, batch * self.most).view(batch, self.most, -1)

    def from_inputs(self, block: Shaped[Tensor, "batch most dim"]) -> Shaped[Tensor, "tokens dim"]:
        """[batch, most, dim] to [tokens, dim]."""
        return block.flatten(0, 1).index_select(0, self.slots)

    def tokens_of_inputs(self) -> tuple[Tensor, ...]:
        """For each input int64 [its tokens], which of the packed tokens belong to it."""
        counts = torch.bincount(self.inputs, minlength=self.shape[0]).tolist()
        return torch.split_with_sizes(self.inputs.argsort(stable=True), counts)

    def reversal(self) -> Int[Tensor, " tokens"]:
        """int64 [tokens]: for each token the one that is as far from the end of its row as this from the beginning."""
        time = self.shape[2]
        rows, t = self.index // time, self.index % time
        lengths = torch.bincount(rows, minlength=self.shape[0] * self.shape[1])
        packed = torch.empty(self.shape[0] * self.shape[1] * time, dtype=torch.int64, device=self.index.device)
        packed[self.index] = torch.arange(len(self), device=self.index.device)
        return packed[rows * time + lengths[rows] - 1 - t]

    def before(self) -> Int[Tensor, " tokens"]:
        """int64 [tokens]: index of the state before each token among the first states, then those of all tokens."""
        indices, first = [], 0
        for step in self.steps:
            count = step.tokens.stop - step.tokens.start
            parents = torch.arange(count, device=self.index.device) if step.parents is None else step.parents
            indices.append(parents + first)
            first = self.steps[0].tokens.stop + step.tokens.start
        return torch.cat(indices)


def pack_targets(lengths: Tensor | None, *, batch: int, rows: int, time: int, device: torch.device) -> Packing:
    """Find the real tokens, of which there is at least one.

    Args:
        lengths: int64 [batch, rows], how many tokens of each row are real; None when every row is full.
        batch, rows, time: sizes of the targets.
        device: of the indices.
    """
    ends = torch.full((batch * rows,), time) if lengths is None else lengths.flatten().cpu()
    steps: list[TimeStep] = []
    index: list[Tensor] = []
    before, first = torch.arange(batch * rows), 0
    for t in range(int(ends.max())):
        active = torch.nonzero(ends > t).squeeze(1)
        parents = torch.searchsorted(before, active).to(device) if t and len(active) < len(before) else None
        steps.append(_step(active // rows, active % rows, parents, first=first))
        index.append(active * time + t)
        before, first = active, first + len(active)
    tokens = torch.cat(index)
    return _pack(tokens, tokens // (rows * time), steps, shape=(batch, rows, time), device=device)


def share_prefixes(packing: Packing, tokens: Int[Tensor, " tokens"]) -> tuple[Packing, Int[Tensor, " tokens"]]:
    """Merge rows of an input for as long as they have the same prefix.

    Args:
        packing: of all rows.
        tokens: int64 [tokens], the token ids, packed.

    Returns:
        A packing whose rows are the different prefixes, and int64 [tokens]: for each token of the first packing its
        index in the second.
    """
    device = tokens.device
    ids, index = tokens.cpu(), packing.index.cpu()
    size, first = int(ids.max()) + 1, 0
    inputs = torch.arange(packing.shape[0])
    prefix_of_row = packing.first_inputs.cpu()
    steps, prefix_index, representatives, input_index = [], [], [], []
    for number, step in enumerate(packing.steps):
        # 1. a prefix is the prefix before and one token
        prefix_of_row = prefix_of_row if step.parents is None else prefix_of_row[step.parents.cpu()]
        prefixes, prefix_of_row = torch.unique(prefix_of_row * size + ids[step.tokens], return_inverse=True)
        # 2. the rows of this step are the different prefixes; each continues one of the step before
        parents = prefixes // size
        same = number == 0 or torch.equal(parents, torch.arange(len(inputs)))
        inputs = inputs[parents]
        columns = torch.arange(len(inputs)) - torch.searchsorted(inputs, inputs)
        steps.append(_step(inputs, columns, None if same else parents.to(device), first=first))
        # 3. which token stands for each prefix, and which prefix for each token
        representatives.append(torch.empty_like(inputs).scatter_(0, prefix_of_row, index[step.tokens]))
        prefix_index.append(prefix_of_row + first)
        input_index.append(inputs)
        first += len(inputs)
    shared = _pack(torch.cat(representatives), torch.cat(input_index), steps, shape=packing.shape, device=device)
    return shared, torch.cat(prefix_index).to(device)


def _pack(
    index: Tensor, inputs: Tensor, steps: list[TimeStep], *, shape: tuple[int, int, int], device: torch.device
) -> Packing:
    most, slots = _slots(inputs, shape[0])
    moved = tuple(
        step if step.block_index is None else replace(step, block_index=step.block_index.to(device)) for step in steps
    )
    return Packing(shape, index.to(device), inputs.to(device), slots.to(device), most, moved)


def _step(inputs: Tensor, columns: Tensor, parents: Tensor | None, *, first: int) -> TimeStep:
    """The step of the rows ``columns`` of ``inputs``, both int64 [rows], ordered by input."""
    num_inputs, num_columns = int(inputs[-1]) + 1, int(columns.max()) + 1
    full = len(inputs) == num_inputs * num_columns
    return TimeStep(
        num_inputs=num_inputs,
        num_columns=num_columns,
        block_index=None if full else inputs * num_columns + columns,
        offsets=torch.searchsorted(inputs, torch.arange(num_inputs + 1)),
        tokens=slice(first, first + len(inputs)),
        parents=parents,
    )


def _slots(inputs: Tensor, batch: int) -> tuple[int, Tensor]:
    """The largest number of tokens of one input, and the slot of each token."""
    counts = torch.bincount(inputs, minlength=batch)
    most = int(counts.max())
    order = inputs.argsort(stable=True)
    rank = torch.arange(len(inputs)) - (counts.cumsum(0) - counts)[inputs[order]]
    slots = torch.empty_like(inputs)
    slots[order] = inputs[order] * most + rank
    return most, slots


def _spread(packed: Tensor, index: Tensor, size: int) -> Tensor:
    return packed.new_zeros(size, *packed.shape[1:]).index_copy_(0, index, packed)
