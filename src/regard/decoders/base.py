"""The interface of every decoder: start, step, a teacher-forced pass, and a state that only search reorders.

State is passed, never kept on a module, so two decodes can be interleaved. A state has two halves: the memory of the
inputs, which all hypotheses of an input share and nobody changes, and the rows, one per hypothesis (or per caption of
an image in training), which search permutes. A decoder defines one :meth:`Decoder.step`; teacher forcing is the loop
over it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.attention import Memory
from regard.config import PartSettings

if TYPE_CHECKING:
    from jaxtyping import Float, Int

EMPTY = -1
"""Stands for the index of a row where there is no row."""


@dataclass(frozen=True)
class State:
    """The state of a decoder between two steps.

    Attributes:
        memory: what all rows of an input share; never reordered.
        rows: tensors [batch, rows, ...], one entry per hypothesis.
        length: number of tokens read so far.
    """

    memory: Memory
    rows: dict[str, Tensor]
    length: int = 0

    def reorder(self, index: Int[Tensor, "batch rows"]) -> State:
        """Let row r of input b continue from row ``index[b, r]`` of the same input (int64 [batch, rows]).

        Where the index is ``EMPTY`` the row is empty from now on: whatever it holds will not be read.
        """
        batch = torch.arange(index.shape[0], device=index.device).unsqueeze(1)
        return replace(self, rows={name: tensor[batch, index] for name, tensor in self.rows.items()})

    def select(self, index: Int[Tensor, " selected"]) -> State:
        """The inputs at ``index`` (int64 [selected]); finished inputs leave the batch this way."""
        rows = {name: tensor[index] for name, tensor in self.rows.items()}
        return replace(self, memory=self.memory.select(index), rows=rows)


def _unchanged(readout: Tensor) -> Tensor:
    return readout


@dataclass(frozen=True)
class Step:
    """The result of one step.

    Attributes:
        readout: [batch, rows, readout_dim], what the next token is predicted from.
        state: the next state.
        weights: [batch, rows, position], the attention weights α.
        output: from readouts to logits; the identity of a decoder whose readouts are its logits.
        log_choice: [batch, rows], log-probability of the region that hard attention sampled, else None.
    """

    readout: Tensor
    state: State
    weights: Tensor
    output: Callable[[Tensor], Tensor] = _unchanged
    log_choice: Tensor | None = None

    @cached_property
    def logits(self) -> Float[Tensor, "*shape vocabulary"]:
        """[batch, rows, vocabulary], computed when they are first asked for: teacher forcing takes them all at once."""
        return self.output(self.readout)


@dataclass(frozen=True)
class Trace:
    """A teacher-forced pass over whole targets, before the vocabulary product.

    Attributes:
        readouts: [batch, rows, time, readout_dim]; :meth:`Decoder.logits` turns them into logits, on the real tokens
            only where that saves work.
        weights: [batch, rows, time, position], zero after a row's end.
        log_choices: [batch, rows, time] of hard attention in training, zero after a row's end, else None.
    """

    readouts: Float[Tensor, "batch rows time readout_dim"]
    weights: Float[Tensor, "batch rows time position"]
    log_choices: Float[Tensor, "batch rows time"] | None = None


class Stepper(Protocol):
    """What a search needs of a decoder: :meth:`Decoder.start` and :meth:`Decoder.step`."""

    vocabulary_size: int

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        """See :meth:`Decoder.start`."""

    def step(self, state: State, tokens: Int[Tensor, "batch rows"]) -> Step:
        """See :meth:`Decoder.step`."""


class TeacherForcing(Protocol):
    """What training needs of a decoder: :meth:`Decoder.trace`."""

    def trace(
        self, annotations: Annotations, tokens: Int[Tensor, "batch rows time"], lengths: Tensor | None = None
    ) -> Trace:
        """See :meth:`Decoder.trace`."""


class Decoder(nn.Module, ABC):
    """Predicts tokens one by one while it attends to annotations.

    Attributes:
        settings_class: of its settings.
        vocabulary_size: number of tokens.
        attends: whether its weights mean anything; a decoder without attention returns uniform weights.
    """

    settings_class: ClassVar[type[PartSettings]]
    vocabulary_size: int
    attends: bool = True

    @classmethod
    def build(cls, settings: Any, *, dim: int, vocabulary_size: int, backward_dim: int = 0) -> Decoder:
        """The decoder of these settings; ``backward_dim`` is for those that start from the encoder's backward half."""
        kind: Callable[..., Decoder] = cls
        return kind(settings, dim=dim, vocabulary_size=vocabulary_size)

    @abstractmethod
    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        """The state before the first token, with ``rows`` equal rows per input."""

    @abstractmethod
    def step(self, state: State, tokens: Int[Tensor, "batch rows"]) -> Step:
        """Read the previous tokens (int64 [batch, rows]; first ``<bos>``) and predict the next ones."""

    @abstractmethod
    def logits(self, readouts: Float[Tensor, "*shape readout_dim"]) -> Float[Tensor, "*shape vocabulary"]:
        """[..., readout_dim] to [..., vocabulary]."""

    def vocabulary_layer(self) -> tuple[Tensor, Tensor | None] | None:
        """The matrix [vocabulary, readout_dim] and the bias of :meth:`logits`, where it is one product and no more.

        A loss that knows them need not keep the logits.
        """
        return None

    def trace(
        self, annotations: Annotations, tokens: Int[Tensor, "batch rows time"], lengths: Tensor | None = None
    ) -> Trace:
        """Teacher forcing: read whole targets, one :meth:`step` after the other.

        Args:
            annotations: a batch of inputs.
            tokens: int64 [batch, rows, time], each row beginning with ``<bos>``.
            lengths: int64 [batch, rows], number of real tokens of each row; None when all are real. Readouts after a
                row's end are unspecified.
        """
        state = self.start(annotations, rows=tokens.shape[1])
        steps: list[Step] = []
        for previous in tokens.unbind(dim=2):
            steps.append(self.step(state, previous))
            state = steps[-1].state
        weights = torch.stack([step.weights for step in steps], dim=2)
        choices = [step.log_choice for step in steps if step.log_choice is not None]
        log_choices = torch.stack(choices, dim=2) if choices else None
        if lengths is not None:
            real = (torch.arange(tokens.shape[2], device=lengths.device) < lengths.unsqueeze(-1)).to(tokens.device)
            weights = weights * real.unsqueeze(-1)
            log_choices = None if log_choices is None else log_choices * real
        return Trace(torch.stack([step.readout for step in steps], dim=2), weights, log_choices)

    def forward(
        self, annotations: Annotations, tokens: Int[Tensor, "batch rows time"]
    ) -> tuple[Float[Tensor, "batch rows time vocabulary"], Float[Tensor, "batch rows time position"]]:
        """Teacher-forced logits [batch, rows, time, vocabulary] and weights [batch, rows, time, position]."""
        trace = self.trace(annotations, tokens)
        return self.logits(trace.readouts), trace.weights


def uniform_weights(memory: Memory, rows: int) -> Float[Tensor, "batch rows position"]:
    """Weights of a decoder without attention: the same on every real position, [batch, rows, position]."""
    mask = memory.mask
    if mask is None:
        batch, positions = memory.values.shape[:2]
        return memory.values.new_full((batch, rows, positions), 1 / positions)
    weights = mask.to(memory.values.dtype) / mask.sum(dim=1, keepdim=True)
    return weights.unsqueeze(1).expand(-1, rows, -1)
