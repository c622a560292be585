"""One step of a recurrent decoder for many hypotheses of a search."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from typing import Self

import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.base import State, Step
from regard.fast.search.cells import Vectors
from regard.fast.search.token_cache import WordTable
from regard.fast.search.unique_parents import FamilyState, LivingStep, Looking
from regard.ops.linear import InferencePrecision, Product, ready_product


class FamilyStepper(ABC):
    """Steps like the decoder that it is made from, with fewer and faster products.

    It is a :class:`regard.fast.search.lexical_shortlist.Divisible`.

    Args:
        vocabulary: the matrix [vocabulary, readout_dim] and the bias of its vocabulary product.
        precision: of the products.
    """

    def __init__(self, vocabulary: tuple[Tensor, Tensor | None], precision: InferencePrecision) -> None:
        matrix, bias = vocabulary
        vocabulary_size = self.vocabulary_size = len(matrix)
        self._precision = precision
        self._vocabulary = matrix.detach(), None if bias is None else bias.detach()
        self._logits = ready_product(matrix, bias, precision=precision)
        self._words = WordTable(self._of_words, vocabulary_size=vocabulary_size, device=torch.device("cpu"))

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        """See :meth:`Decoder.start`."""
        places = torch.arange(len(annotations), device=annotations.values.device).unsqueeze(1).expand(-1, rows)
        return FamilyState(self._remember(annotations), self._first(annotations), places=places)

    def step(self, state: State, tokens: Tensor) -> Step:
        """See :meth:`Decoder.step`; where rows are empty it is a :class:`LivingStep`."""
        assert isinstance(state, FamilyState), "a state of this stepper's own start"
        looking, words = state.looking(), tokens.flatten()
        living = looking.living
        said = self._words(words if living is None else words.index_select(0, living))
        after, readout, weights = self._advance(state.memory, state.rows, looking, said)
        logits, following = self._logits(readout), state.following(after, living)
        if living is None:
            return Step(logits.view(*tokens.shape, -1), following, weights.view(*tokens.shape, -1))
        weights = weights.new_zeros(len(words), weights.shape[1]).index_copy_(0, living, weights)
        return LivingStep(logits, following, weights.view(*tokens.shape, -1), living)

    def reading(self) -> Self:
        """The same stepper with readouts in place of logits; all else is shared with this one."""
        reading = copy(self)
        reading._logits = _unchanged
        return reading

    def logits(self, readout: Tensor) -> Tensor:
        """The vocabulary product of readouts [rows, readout_dim]."""
        return self._logits(readout)

    def product(self, words: Tensor) -> Product:
        """The vocabulary product for some words (int64 [words])."""
        matrix, bias = self._vocabulary
        return ready_product(matrix[words], None if bias is None else bias[words], precision=self._precision)

    def matrix(self, words: Tensor) -> tuple[Tensor, Tensor | None]:
        """Its matrix and bias for some words (int64 [...]); the matrix in bfloat16 for every lower precision."""
        matrix, bias = self._vocabulary
        rows = matrix[words]
        return rows if self._precision == "float32" else rows.bfloat16(), None if bias is None else bias[words]

    @abstractmethod
    def _of_words(self, words: Tensor) -> Tensor:
        """What words int64 [words] add to a step, [words, width]."""

    @abstractmethod
    def _remember(self, annotations: Annotations) -> Memory:
        """What all rows of an input share."""

    @abstractmethod
    def _first(self, annotations: Annotations) -> Vectors:
        """The vectors before the first word, each [batch, hidden]."""

    @abstractmethod
    def _advance(
        self, memory: Memory, before: Vectors, looking: Looking, said: Tensor
    ) -> tuple[Vectors, Tensor, Tensor]:
        """The next vectors, the readout and the weights of new rows [living, ·].

        Args:
            memory: of the inputs.
            before: the vectors of the rows before.
            looking: who continues whom.
            said: [living, width], what the word of each new row adds; may be changed.
        """


class SharingStepper(FamilyStepper):
    """A step in two halves. What a hypothesis *sees* follows from its state alone: the look at the input and every
    product with the state. Hypotheses that part at their last word have one state, so this half is taken once for them
    all. What it *reads* is that word: a row of a table is added, and the state moves on.
    """

    def _advance(
        self, memory: Memory, before: Vectors, looking: Looking, said: Tensor
    ) -> tuple[Vectors, Tensor, Tensor]:
        seen, weights = self._see(memory, before, looking)
        told = said.add_(seen.index_select(0, looking.sees))
        return *self._read(told, before, looking.parents), weights.index_select(0, looking.sees)

    @abstractmethod
    def _see(self, memory: Memory, before: Vectors, looking: Looking) -> tuple[Tensor, Tensor]:
        """What is seen [looks, width], and the weights [looks, position]."""

    @abstractmethod
    def _read(self, told: Tensor, before: Vectors, parents: Tensor) -> tuple[Vectors, Tensor]:
        """The next vectors and the readout [living, ·].

        Args:
            told: [living, width], what each new row has seen and read; may be changed.
            before: the vectors of the rows before.
            parents: int64 [living], the row that each continues.
        """


def _unchanged(readout: Tensor) -> Tensor:
    return readout
