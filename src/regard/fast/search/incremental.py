"""Incremental decoders: one step of a recurrent decoder for many hypotheses of a search."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.base import State, Step
from regard.decoders.cells import Hidden
from regard.fast.search.beam_state import ActiveStep, BeamState, ParentIndex
from regard.fast.search.token_cache import TokenCache
from regard.ops.linear import InferencePrecision, Product, inference_linear


class IncrementalDecoder(ABC):
    """Steps like the decoder that it is made from, with fewer and faster products.

    It is a :class:`regard.fast.search.lexical_shortlist.HasOutputLayer`.

    Args:
        output_layer: the matrix [vocabulary, readout_dim] and the bias of the vocabulary product.
        precision: of the products.
    """

    def __init__(self, output_layer: tuple[Tensor, Tensor | None], precision: InferencePrecision) -> None:
        matrix, bias = output_layer
        vocabulary_size = self.vocabulary_size = len(matrix)
        self._precision = precision
        self._output_layer = matrix.detach(), None if bias is None else bias.detach()
        self._output = inference_linear(matrix, bias, precision=precision)
        self._tokens = TokenCache(self._project_tokens, vocabulary_size=vocabulary_size, device=torch.device("cpu"))

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        """See :meth:`Decoder.start`."""
        parents = torch.arange(len(annotations), device=annotations.values.device).unsqueeze(1).expand(-1, rows)
        return BeamState(self._remember(annotations), self._first_state(annotations), parents=parents)

    def step(self, state: State, tokens: Tensor) -> Step:
        """See :meth:`Decoder.step`; where hypotheses are empty it is an :class:`ActiveStep`."""
        assert isinstance(state, BeamState), "a state of this decoder's own start"
        index, flat = state.parent_index(), tokens.flatten()
        active = index.active
        projected = self._tokens(flat if active is None else flat.index_select(0, active))
        hidden, readout, weights = self._advance(state.memory, state.rows, index, projected)
        following = state.following(hidden, active)
        if active is None:
            shape = (*tokens.shape, -1)
            return Step(readout.view(shape), following, weights.view(shape), self._output_of_beam)
        weights = weights.new_zeros(len(flat), weights.shape[1]).index_copy_(0, active, weights)
        return ActiveStep(readout, following, weights.view(*tokens.shape, -1), self._output, active=active)

    def output_product(self, tokens: Tensor) -> Product:
        """The vocabulary product for some tokens (int64 [tokens])."""
        matrix, bias = self._output_layer
        return inference_linear(matrix[tokens], None if bias is None else bias[tokens], precision=self._precision)

    def output_rows(self, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """Its matrix and bias for some tokens (int64 [...]); the matrix in bfloat16 for every lower precision."""
        matrix, bias = self._output_layer
        rows = matrix[tokens]
        return rows if self._precision == "float32" else rows.bfloat16(), None if bias is None else bias[tokens]

    def _output_of_beam(self, readout: Tensor) -> Tensor:
        """[batch, beam, readout_dim] to [batch, beam, vocabulary]."""
        return self._output(readout.flatten(0, 1)).view(*readout.shape[:2], -1)

    @abstractmethod
    def _project_tokens(self, tokens: Tensor) -> Tensor:
        """What tokens int64 [tokens] add to a step, [tokens, width]."""

    @abstractmethod
    def _remember(self, annotations: Annotations) -> Memory:
        """What all rows of an input share."""

    @abstractmethod
    def _first_state(self, annotations: Annotations) -> Hidden:
        """The state before the first token, each [batch, hidden]."""

    @abstractmethod
    def _advance(
        self, memory: Memory, before: Hidden, index: ParentIndex, projected: Tensor
    ) -> tuple[Hidden, Tensor, Tensor]:
        """The next state, the readout and the weights of the active hypotheses [active, ·].

        Args:
            memory: of the inputs.
            before: the state of the parents.
            index: which hypothesis continues which parent.
            projected: [active, width], what the token of each hypothesis adds; may be overwritten.
        """


class UniqueParentDecoder(IncrementalDecoder):
    """A step in two halves, the first of which depends on the parent's state alone.

    Attention and every product with the state are computed once for each unique parent. The second half adds the
    token's row of the cache and updates the state of each hypothesis.
    """

    def _advance(
        self, memory: Memory, before: Hidden, index: ParentIndex, projected: Tensor
    ) -> tuple[Hidden, Tensor, Tensor]:
        from_parents, weights = self._attend(memory, before, index)
        inputs = projected.add_(from_parents.index_select(0, index.inverse))
        return *self._update(inputs, before, index.parents), weights.index_select(0, index.inverse)

    @abstractmethod
    def _attend(self, memory: Memory, before: Hidden, index: ParentIndex) -> tuple[Tensor, Tensor]:
        """What the unique parents add [unique, width], and their weights [unique, position]."""

    @abstractmethod
    def _update(self, inputs: Tensor, before: Hidden, parents: Tensor) -> tuple[Hidden, Tensor]:
        """The next state and the readout [active, ·].

        Args:
            inputs: [active, width], what parent and token add to each hypothesis; may be overwritten.
            before: the state of the parents.
            parents: int64 [active], the parent of each hypothesis.
        """
