"""Stepping where only some words may be said: those that a list gives for each input.

Words have other numbers here: their places among all words that some input of the batch may say, the *candidates*. The
vocabulary product is taken for these alone. What an input may not say itself has probability 0, so that what an input
says does not depend on the inputs beside it. Probabilities are those of the model among the words that may be said:
they are larger than its own, by as much as it would have given to all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.decoders.base import State, Step, Stepper


@runtime_checkable
class Narrowing(Protocol):
    """A stepper that can take the vocabulary product for some words alone."""

    def narrowed(self, words: Tensor) -> Stepper:
        """The same stepper with logits of ``words`` (int64 [candidates]) alone; it is still given the ids of words."""


@dataclass(frozen=True, kw_only=True)
class RestrictedState(State):
    """A state with what its inputs may not say.

    Attributes:
        inner: the state of the stepper that is restricted.
        forbidden: [batch, 1, candidates], -inf where an input may not say a candidate, else 0.
    """

    inner: State
    forbidden: Tensor

    @classmethod
    def around(cls, inner: State, forbidden: Tensor) -> RestrictedState:
        """A state that has the vectors of another."""
        return cls(inner.memory, inner.rows, inner.length, inner=inner, forbidden=forbidden)

    def reorder(self, index: Tensor) -> RestrictedState:
        """See :meth:`State.reorder`."""
        return self.around(self.inner.reorder(index), self.forbidden)

    def select(self, index: Tensor) -> RestrictedState:
        """See :meth:`State.select`."""
        return self.around(self.inner.select(index), self.forbidden[index])


class RestrictedStepper:
    """Args:
    stepper: of a decoder.
    allowed: bool [batch, vocabulary], what each input of one batch may say; something.

    Attributes:
        words: int64 [candidates], ascending: the word that each number here stands for.
    """

    def __init__(self, stepper: Stepper, allowed: Tensor) -> None:
        self.words = allowed.any(dim=0).nonzero().squeeze(1)
        self.vocabulary_size = len(self.words)
        own = allowed.index_select(1, self.words)
        self._forbidden = torch.zeros(own.shape, device=own.device).masked_fill_(~own, float("-inf")).unsqueeze(1)
        self._narrow = isinstance(stepper, Narrowing)
        self._stepper = stepper.narrowed(self.words) if isinstance(stepper, Narrowing) else stepper

    def numbers(self, words: Sequence[int]) -> tuple[int, ...]:
        """The numbers here of words that are candidates."""
        return tuple(torch.searchsorted(self.words, self.words.new_tensor(words)).tolist())

    def named(self, numbers: Sequence[int]) -> tuple[int, ...]:
        """The words that numbers stand for here."""
        return tuple(self.words[self.words.new_tensor(numbers)].tolist())

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        """See :meth:`Decoder.start`; the annotations are those of the batch."""
        assert len(annotations) == len(self._forbidden), "made for one batch"
        return RestrictedState.around(self._stepper.start(annotations, rows=rows), self._forbidden)

    def step(self, state: State, tokens: Tensor) -> Step:
        """See :meth:`Decoder.step`; tokens and logits are numbered as here."""
        assert isinstance(state, RestrictedState), "a state of this stepper's own start"
        step = self._stepper.step(state.inner, self.words[tokens])
        logits = step.logits if self._narrow else step.logits.index_select(-1, self.words)
        logits.add_(state.forbidden)  # they are nobody else's
        return replace(step, logits=logits, state=RestrictedState.around(step.state, state.forbidden))
