"""Stepping where only some words may be said: those that all inputs share, and those that an input has of its own.

Words have other numbers here. The shared words come first, in ascending order, and have the same numbers everywhere;
behind them come an input's own words. The vocabulary product is taken for the shared words in one matrix, which is made
ready once for all batches, and for the own words input by input; so what is said does not depend on the inputs beside
an input. Probabilities are those of the model among the words that may be said: they are larger than its own, by
as much as it would have given to all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.nn.utils.rnn import pad_sequence

from regard.annotations import Annotations
from regard.decoders.base import State, Step, Stepper
from regard.fast.search.unique_parents import LivingStep
from regard.ops.linear import Product

MOST_OWN = 4
"""How many times as many own words as there are words in all the inputs of a batch may have; where they have more, the
product is taken for all words, which is then less work and needs less memory; in the same precision, so that nothing
else changes."""
_NEVER = float("-inf")


@runtime_checkable
class Divisible(Protocol):
    """A stepper that ends with one product, which can be taken for some words alone."""

    def reading(self) -> Stepper:
        """The same stepper with readouts in place of logits."""

    def product(self, words: Tensor) -> Product:
        """The product for some words (int64 [words]), made ready: readouts [rows, ·] to logits [rows, words]."""

    def matrix(self, words: Tensor) -> tuple[Tensor, Tensor | None]:
        """The matrix [..., ·] and the bias [...] for some words (int64 [...]), in the precision of the product."""


@dataclass(frozen=True, kw_only=True)
class RestrictedState(State):
    """A state with the own words of its inputs.

    Attributes:
        inner: the state of the stepper that is restricted.
        words: int64 [batch, words], what each number stands for, shared words included.
        own: the matrix of the own words [batch, own words, readout_dim]; None where their logits are picked among those
            of all words.
        bias: [batch, 1, own words], their bias, -inf where an input has fewer of them than another.
    """

    inner: State
    words: Tensor
    own: Tensor | None
    bias: Tensor

    def following(self, inner: State) -> RestrictedState:
        """The same inputs in another state."""
        return replace(self, memory=inner.memory, rows=inner.rows, length=inner.length, inner=inner)

    def reorder(self, index: Tensor) -> RestrictedState:
        """See :meth:`State.reorder`."""
        return self.following(self.inner.reorder(index))

    def select(self, index: Tensor) -> RestrictedState:
        """See :meth:`State.select`."""
        own = None if self.own is None else self.own.index_select(0, index)
        words, bias = self.words.index_select(0, index), self.bias.index_select(0, index)
        return replace(self.following(self.inner.select(index)), words=words, own=own, bias=bias)


class SharedWords:
    """What all inputs may say, made ready once.

    Args:
        stepper: of a decoder.
        words: ids, each once.
    """

    def __init__(self, stepper: Stepper, words: Sequence[int], *, device: torch.device | str = "cpu") -> None:
        self.words = torch.tensor(sorted(words), dtype=torch.long, device=device)
        self.numbers = {word: number for number, word in enumerate(self.words.tolist())}
        self.stepper = stepper
        self.divisible = stepper if isinstance(stepper, Divisible) else None
        self.reading = None if self.divisible is None else self.divisible.reading()
        self.product = None if self.divisible is None else self.divisible.product(self.words)


class RestrictedStepper:
    """A stepper for one batch.

    Args:
        shared: what all inputs may say.
        own: what each input may say besides; ids, which may be shared ones too.
    """

    def __init__(self, shared: SharedWords, own: Sequence[Sequence[int]]) -> None:
        self._shared, device, first = shared, shared.words.device, len(shared.words)
        lists = [sorted(set(words) - shared.numbers.keys()) for words in own]
        self._numbers = [{word: number for number, word in enumerate(words, start=first)} for words in lists]
        padded = pad_sequence([torch.tensor(words, dtype=torch.long) for words in lists], batch_first=True).to(device)
        lengths = torch.tensor([[len(words)] for words in lists], device=device)
        absent = torch.arange(padded.shape[1], device=device) >= lengths
        self._stepper, self._own, self._every = shared.stepper, None, None
        bias = torch.zeros(padded.shape, device=device)
        if shared.divisible is not None and shared.reading is not None:
            self._stepper, size = shared.reading, shared.stepper.vocabulary_size
            few = padded.numel() <= MOST_OWN * size
            matrix, given = shared.divisible.matrix(padded if few else torch.arange(size, device=device))
            self._own, self._every = (matrix, None) if few else (None, matrix)
            if given is not None:
                bias = (given if few else given[padded]).to(torch.promote_types(given.dtype, torch.float32))
        self._bias = bias.masked_fill(absent, _NEVER).unsqueeze(1)
        self._words = torch.cat([shared.words.expand(len(lists), -1), padded], dim=1)
        self.vocabulary_size = self._words.shape[1]

    def numbers(self, each: int, words: Sequence[int]) -> tuple[int, ...]:
        """The numbers that words have for an input that may say them."""
        shared, own = self._shared.numbers, self._numbers[each]
        return tuple(shared[word] if word in shared else own[word] for word in words)

    def named(self, each: int, numbers: Sequence[int]) -> tuple[int, ...]:
        """The words that numbers stand for in an input."""
        return tuple(self._words[each].index_select(0, self._words.new_tensor(numbers)).tolist())

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        """See :meth:`Decoder.start`; the annotations are those of the batch."""
        assert len(annotations) == len(self._words), "made for one batch"
        inner = self._stepper.start(annotations, rows=rows)
        return RestrictedState(
            inner.memory,
            inner.rows,
            inner.length,
            inner=inner,
            words=self._words,
            own=self._own,
            bias=self._bias,
        )

    def step(self, state: State, tokens: Tensor) -> Step:
        """See :meth:`Decoder.step`; tokens and logits are numbered as here."""
        assert isinstance(state, RestrictedState), "a state of this stepper's own start"
        step = self._stepper.step(state.inner, state.words.gather(1, tokens))
        given, product = step.logits.flatten(0, -2), self._shared.product
        if isinstance(step, LivingStep):
            block = given.new_zeros(tokens.numel(), given.shape[1]).index_copy_(0, step.living, given)
            own = self._own_logits(block.view(*tokens.shape, -1), state).flatten(0, 1).index_select(0, step.living)
        else:
            own = self._own_logits(step.logits, state).flatten(0, 1)
        shared = given.index_select(1, self._shared.words) if product is None else product(given)
        logits = torch.cat([shared, own], dim=1).view(*step.logits.shape[:-1], -1)
        return replace(step, logits=logits, state=state.following(step.state))

    def _own_logits(self, given: Tensor, state: RestrictedState) -> Tensor:
        """Of the own words [batch, rows, own words], of readouts or of the logits of all words."""
        words = state.words[:, None, len(self._shared.words) :].expand(-1, given.shape[1], -1)
        if state.own is not None:
            own = torch.bmm(given.to(state.own.dtype), state.own.transpose(1, 2))
        elif self._every is not None:
            own = linear(given.to(self._every.dtype), self._every).gather(2, words)
        else:
            own = given.gather(2, words)
        return own.to(given.dtype) + state.bias
