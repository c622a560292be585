"""The promise every decoder keeps: start, step, forward, and a state that only search reorders.

State is passed, never kept on a module, so two decodes can be interleaved. A state has two halves: the memory of the
inputs, which all rows of an input share and nobody changes, and the rows, one per hypothesis (or per caption of an
image in training), which search permutes. Decoding step by step equals the teacher-forced pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.attention import Memory

EMPTY = -1
"""In the place of the index of a row: there is none."""


@dataclass(frozen=True)
class State:
    """Where a decoder stands.

    Attributes:
        memory: what all rows of an input share; never reordered.
        rows: tensors [batch, rows, ...], one entry per hypothesis.
        length: how many tokens have been read.
    """

    memory: Memory
    rows: dict[str, Tensor]
    length: int = 0

    def reorder(self, index: Tensor) -> State:
        """Let row r of input b continue from row ``index[b, r]`` of the same input (int64 [batch, rows]).

        Where the index is ``EMPTY`` the row is empty from now on: whatever stands there will not be read.
        """
        batch = torch.arange(index.shape[0], device=index.device).unsqueeze(1)
        return replace(self, rows={name: tensor[batch, index] for name, tensor in self.rows.items()})

    def select(self, index: Tensor) -> State:
        """Keep the inputs at ``index`` (int64 [kept]); finished inputs leave the batch this way."""
        rows = {name: tensor[index] for name, tensor in self.rows.items()}
        return replace(self, memory=self.memory.select(index), rows=rows)


@dataclass(frozen=True)
class Step:
    """What one word costs: logits [batch, rows, vocabulary], the next state, weights [batch, rows, position]."""

    logits: Tensor
    state: State
    weights: Tensor


@dataclass(frozen=True)
class Trace:
    """A teacher-forced pass over whole targets, before the vocabulary product.

    Attributes:
        readouts: [batch, rows, time, readout_dim]; :meth:`Decoder.logits` turns them into logits, on the real tokens
            only where that saves work.
        weights: [batch, rows, time, position], zero after a row's end.
        log_choices: [batch, rows, time] from hard attention, else None.
    """

    readouts: Tensor
    weights: Tensor
    log_choices: Tensor | None = None


class Stepper(Protocol):
    """What a search needs of a decoder: :meth:`Decoder.start` and :meth:`Decoder.step`."""

    vocabulary_size: int

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        """See :meth:`Decoder.start`."""

    def step(self, state: State, tokens: Tensor) -> Step:
        """See :meth:`Decoder.step`."""


class Decoder(nn.Module, ABC):
    """Writes tokens, looking at annotations.

    Attributes:
        vocabulary_size: number of tokens it can write.
        attends: whether its weights mean anything; a decoder without attention returns uniform weights.
    """

    vocabulary_size: int
    attends: bool = True

    @abstractmethod
    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        """The state before the first word, with ``rows`` equal rows per input."""

    @abstractmethod
    def step(self, state: State, tokens: Tensor) -> Step:
        """Read the previous tokens (int64 [batch, rows]; first ``<bos>``) and score the next ones."""

    @abstractmethod
    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        """Read whole targets at once.

        Args:
            annotations: a batch of inputs.
            tokens: int64 [batch, rows, time], each row beginning with ``<bos>``.
            lengths: int64 [batch, rows]: how many tokens of each row are real. Outputs after a row's end are
                unspecified and may be left at zero, which is what makes batches of ragged captions cheap.
        """

    @abstractmethod
    def logits(self, readouts: Tensor) -> Tensor:
        """[..., readout_dim] to [..., vocabulary]."""

    def vocabulary_layer(self) -> tuple[Tensor, Tensor | None] | None:
        """The matrix [vocabulary, readout_dim] and the bias of :meth:`logits`, where it is one product and no more.

        A loss that knows them need not keep the logits.
        """
        return None

    def forward(self, annotations: Annotations, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher-forced logits [batch, rows, time, vocabulary] and weights [batch, rows, time, position]."""
        trace = self.trace(annotations, tokens)
        return self.logits(trace.readouts), trace.weights


def uniform_weights(memory: Memory, rows: int) -> Tensor:
    """Weights of a decoder that does not look: the same on every real position, [batch, rows, position]."""
    mask = memory.mask
    if mask is None:
        batch, positions = memory.values.shape[:2]
        return memory.values.new_full((batch, rows, positions), 1 / positions)
    weights = mask.to(memory.values.dtype) / mask.sum(dim=1, keepdim=True)
    return weights.unsqueeze(1).expand(-1, rows, -1)
