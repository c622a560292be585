"""Real tokens side by side: what a recurrent pass over ragged targets reads, and nothing else.

Captions of one batch differ in length. A pass walks over time; at each step the rows that still have a token to read
stand together, input by input, so that every product is taken for real tokens alone. Attention, which all rows of an
input share, sees the same rows as a block [inputs, columns]: the smallest leading block that holds them.

Captions of one image often begin alike ("a dog …"), and a network that starts from the image alone is then in one
state. :func:`share_prefixes` makes one row of such rows until they part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Rows [rows, ...] of some inputs, ordered by input.

    Attributes:
        inputs, columns: the smallest leading block that holds them.
        places: int64 [rows], where each row stands in that block, flattened; None when they fill it in order.
        bounds: int64 [inputs + 1], on the processor: those of input i are ``bounds[i]`` to ``bounds[i + 1]``.
    """

    inputs: int
    columns: int
    places: Tensor | None
    bounds: Tensor

    @classmethod
    def full(cls, inputs: int, columns: int) -> Rows:
        """As many rows of every input."""
        return cls(inputs, columns, None, torch.arange(inputs + 1) * columns)

    @classmethod
    def of(cls, owners: Tensor, inputs: int) -> Rows:
        """Rows of these owners (int64 [rows], ascending, on the processor) among so many inputs."""
        counts = torch.bincount(owners, minlength=inputs)
        bounds = torch.zeros(inputs + 1, dtype=torch.long)
        torch.cumsum(counts, dim=0, out=bounds[1:])
        columns = int(counts.amax())
        if len(owners) == inputs * columns:
            return cls(inputs, columns, None, bounds)
        first = torch.arange(inputs) * columns - bounds[:-1]
        return cls(inputs, columns, torch.arange(len(owners)) + first.index_select(0, owners), bounds)

    def owners(self) -> Tensor:
        """int64 [rows], the input of each."""
        return torch.arange(self.inputs).repeat_interleave(self.bounds.diff())

    def to_block(self, packed: Tensor) -> Tensor:
        """[rows, dim] to [inputs, columns, dim], zeros where no row stands."""
        if self.places is not None:
            zeros = packed.new_zeros(self.inputs * self.columns, packed.shape[-1])
            packed = zeros.index_copy_(0, self.places, packed)
        return packed.view(self.inputs, self.columns, -1)

    def from_block(self, block: Tensor) -> Tensor:
        """[inputs, columns, dim] to [rows, dim]."""
        flat = block.flatten(0, 1)
        return flat if self.places is None else flat.index_select(0, self.places)


@dataclass(frozen=True)
class WalkStep(Rows):
    """One step of time, and the rows that are read in it.

    Attributes:
        tokens: which of the packed tokens are read in this step.
        kept: int64 [rows], where the rows of this step stood among those of the step before, a row that parts more than
            once; None when they are the same.
    """

    tokens: slice
    kept: Tensor | None

    def keep(self, before: Tensor) -> Tensor:
        """The rows [rows, dim] that go on, of those [rows before, dim] of the step before."""
        return before if self.kept is None else before.index_select(0, self.kept)

    def give_back(self, after: Tensor, rows_before: int) -> Tensor:
        """The opposite of :meth:`keep`, for gradients: zeros for the rows that have ended, sums for those that part."""
        if self.kept is None:
            return after
        return after.new_zeros(rows_before, after.shape[-1]).index_add_(0, self.kept, after)


@dataclass(frozen=True)
class Packing:
    """The real tokens of targets [batch, rows, time], ordered by step, then by input, then by row.

    Attributes:
        shape: batch, rows, time of the targets.
        index: int64 [tokens], where each packed token stands in the flattened targets.
        inputs: int64 [tokens], the input that each token belongs to.
        slots: int64 [tokens], the place of each token when those of an input stand side by side, each input taking
            ``most`` places.
        most: the largest number of tokens of one input.
        steps: the steps in which anything is read.
    """

    shape: tuple[int, int, int]
    index: Tensor
    inputs: Tensor
    slots: Tensor
    most: int
    steps: tuple[WalkStep, ...]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def first_inputs(self) -> Tensor:
        """int64 [rows], the input of each row that is read at all, in the order of the first step."""
        return self.inputs[self.steps[0].tokens]

    def pack(self, padded: Tensor) -> Tensor:
        """[batch, rows, time, ...] to [tokens, ...]."""
        return padded.flatten(0, 2).index_select(0, self.index)

    def unpack(self, packed: Tensor) -> Tensor:
        """[tokens, dim] to [batch, rows, time, dim], zeros where nothing was read."""
        batch, rows, time = self.shape
        return _spread(packed, self.index, batch * rows * time).view(batch, rows, time, -1)

    def to_inputs(self, packed: Tensor) -> Tensor:
        """[tokens, dim] to [batch, most, dim], all tokens of an input side by side and then zeros."""
        batch = self.shape[0]
        return _spread(packed, self.slots, batch * self.most).view(batch, self.most, -1)

    def from_inputs(self, block: Tensor) -> Tensor:
        """[batch, most, dim] to [tokens, dim]."""
        return block.flatten(0, 1).index_select(0, self.slots)

    def tokens_of_inputs(self) -> tuple[Tensor, ...]:
        """For each input int64 [its tokens], which of the packed tokens belong to it."""
        counts = torch.bincount(self.inputs, minlength=self.shape[0]).tolist()
        return torch.split_with_sizes(self.inputs.argsort(stable=True), counts)

    def reversal(self) -> Tensor:
        """int64 [tokens]: for each token the one that is as far from the end of its row as this from the beginning."""
        time = self.shape[2]
        rows, t = self.index // time, self.index % time
        lengths = torch.bincount(rows, minlength=self.shape[0] * self.shape[1])
        places = torch.empty(self.shape[0] * self.shape[1] * time, dtype=torch.int64, device=self.index.device)
        places[self.index] = torch.arange(len(self), device=self.index.device)
        return places[rows * time + lengths[rows] - 1 - t]

    def before(self) -> Tensor:
        """int64 [tokens]: where the state before each token stands among the first states, then those of all tokens."""
        found, first = [], 0
        for step in self.steps:
            count = step.tokens.stop - step.tokens.start
            kept = torch.arange(count, device=self.index.device) if step.kept is None else step.kept
            found.append(kept + first)
            first = self.steps[0].tokens.stop + step.tokens.start
        return torch.cat(found)


def pack_targets(lengths: Tensor | None, *, batch: int, rows: int, time: int, device: torch.device) -> Packing:
    """Find the real tokens, of which there is at least one.

    Args:
        lengths: int64 [batch, rows], how many tokens of each row are real; None when every row is full.
        batch, rows, time: sizes of the targets.
        device: where the indices are wanted.
    """
    ends = torch.full((batch * rows,), time) if lengths is None else lengths.flatten().cpu()
    steps: list[WalkStep] = []
    index: list[Tensor] = []
    before, first = torch.arange(batch * rows), 0
    for t in range(int(ends.max())):
        active = torch.nonzero(ends > t).squeeze(1)
        kept = torch.searchsorted(before, active).to(device) if t and len(active) < len(before) else None
        steps.append(_step(active // rows, active % rows, kept, first=first))
        index.append(active * time + t)
        before, first = active, first + len(active)
    tokens = torch.cat(index)
    return _pack(tokens, tokens // (rows * time), steps, shape=(batch, rows, time), device=device)


def share_prefixes(packing: Packing, tokens: Tensor) -> tuple[Packing, Tensor]:
    """Read once what the rows of an input have in common.

    Args:
        packing: of all rows.
        tokens: int64 [tokens], what is read, packed.

    Returns:
        A packing whose rows are the different beginnings, and int64 [tokens]: for each token of the first packing the
        one that stands for it in the second.
    """
    device = tokens.device
    words, index, of_row = tokens.cpu(), packing.index.cpu(), packing.first_inputs.cpu()
    size, first = int(words.max()) + 1, 0
    inputs = torch.arange(packing.shape[0])
    steps, found, chosen, owners = [], [], [], []
    for number, step in enumerate(packing.steps):
        of_row = of_row if step.kept is None else of_row[step.kept.cpu()]
        beginnings, of_row = torch.unique(of_row * size + words[step.tokens], return_inverse=True)
        parents = beginnings // size
        same = number == 0 or torch.equal(parents, torch.arange(len(inputs)))
        inputs = inputs[parents]
        columns = torch.arange(len(inputs)) - torch.searchsorted(inputs, inputs)
        steps.append(_step(inputs, columns, None if same else parents.to(device), first=first))
        found.append(of_row + first)
        chosen.append(torch.empty_like(inputs).scatter_(0, of_row, index[step.tokens]))
        owners.append(inputs)
        first += len(inputs)
    shared = _pack(torch.cat(chosen), torch.cat(owners), steps, shape=packing.shape, device=device)
    return shared, torch.cat(found).to(device)


def _pack(
    index: Tensor, inputs: Tensor, steps: list[WalkStep], *, shape: tuple[int, int, int], device: torch.device
) -> Packing:
    most, slots = _slots(inputs, shape[0])
    placed = tuple(step if step.places is None else replace(step, places=step.places.to(device)) for step in steps)
    return Packing(shape, index.to(device), inputs.to(device), slots.to(device), most, placed)


def _step(inputs: Tensor, columns: Tensor, kept: Tensor | None, *, first: int) -> WalkStep:
    """The step that reads the rows ``columns`` of ``inputs``, both int64 [rows], ordered by input."""
    num_inputs, num_columns = int(inputs[-1]) + 1, int(columns.max()) + 1
    full = len(inputs) == num_inputs * num_columns
    return WalkStep(
        inputs=num_inputs,
        columns=num_columns,
        places=None if full else inputs * num_columns + columns,
        bounds=torch.searchsorted(inputs, torch.arange(num_inputs + 1)),
        tokens=slice(first, first + len(inputs)),
        kept=kept,
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


def _spread(packed: Tensor, places: Tensor, size: int) -> Tensor:
    return packed.new_zeros(size, *packed.shape[1:]).index_copy_(0, places, packed)
