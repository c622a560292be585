"""Search over a lexical shortlist: tokens that all inputs share, and those that an input has of its own.

Tokens have other ids here. The shared tokens come first, in ascending order, with the same ids for every input; an
input's own tokens follow. The vocabulary product for the shared tokens is one matrix, packed once for all batches; for
the own tokens it is taken input by input, so that a result does not depend on the other inputs of the batch.
Probabilities are those of the model among the tokens of the shortlist: larger than its own, by as much as it would have
given to all others.
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
from regard.fast.search.beam_state import ActiveStep
from regard.ops.linear import Product

MOST_OWN = 4
"""The most own tokens of all inputs of a batch, in multiples of the vocabulary. Where there are more, the product is
taken for all tokens, which is then less work and needs less memory; in the same precision, so nothing else changes."""
_NEVER = float("-inf")


@runtime_checkable
class HasOutputLayer(Protocol):
    """A stepper that ends with one product, which can be taken for some tokens alone."""

    def output_product(self, tokens: Tensor) -> Product:
        """The product for some tokens (int64 [tokens]), packed: readouts [rows, ·] to logits [rows, tokens]."""

    def output_rows(self, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """The matrix [..., ·] and the bias [...] for some tokens (int64 [...]), in the precision of the product."""


@dataclass(frozen=True, kw_only=True)
class ShortlistState(State):
    """A state with the own tokens of its inputs.

    Attributes:
        inner: the state of the stepper whose vocabulary is cut.
        tokens: int64 [batch, tokens], what each id stands for, shared tokens included.
        own: the matrix of the own tokens [batch, own tokens, readout_dim]; None where their logits are picked among
            those of all tokens.
        bias: [batch, 1, own tokens], their bias, -inf where an input has fewer of them than another.
    """

    inner: State
    tokens: Tensor
    own: Tensor | None
    bias: Tensor

    def following(self, inner: State) -> ShortlistState:
        """The same inputs in another state."""
        return replace(self, memory=inner.memory, rows=inner.rows, length=inner.length, inner=inner)

    def reorder(self, index: Tensor) -> ShortlistState:
        """See :meth:`State.reorder`."""
        return self.following(self.inner.reorder(index))

    def select(self, index: Tensor) -> ShortlistState:
        """See :meth:`State.select`."""
        own = None if self.own is None else self.own.index_select(0, index)
        tokens, bias = self.tokens.index_select(0, index), self.bias.index_select(0, index)
        return replace(self.following(self.inner.select(index)), tokens=tokens, own=own, bias=bias)


class SharedTokens:
    """The tokens that all inputs share, prepared once.

    Args:
        stepper: of a decoder.
        tokens: ids, each once.
    """

    def __init__(self, stepper: Stepper, tokens: Sequence[int], *, device: torch.device | str = "cpu") -> None:
        self.tokens = torch.tensor(sorted(tokens), dtype=torch.long, device=device)
        self.ids = {token: number for number, token in enumerate(self.tokens.tolist())}
        self.stepper = stepper
        self.output_layer = stepper if isinstance(stepper, HasOutputLayer) else None
        self.product = None if self.output_layer is None else self.output_layer.output_product(self.tokens)


class ShortlistStepper:
    """A stepper for one batch.

    Args:
        shared: the tokens that all inputs share.
        own: the tokens that each input has besides; ids, which may be shared ones too.
    """

    def __init__(self, shared: SharedTokens, own: Sequence[Sequence[int]]) -> None:
        self._shared, device, first = shared, shared.tokens.device, len(shared.tokens)
        # 1. the ids of the own tokens, padded
        lists = [sorted(set(tokens) - shared.ids.keys()) for tokens in own]
        self._ids = [{token: number for number, token in enumerate(tokens, start=first)} for tokens in lists]
        padded = pad_sequence([torch.tensor(tokens, dtype=torch.long) for tokens in lists], batch_first=True).to(device)
        lengths = torch.tensor([[len(tokens)] for tokens in lists], device=device)
        absent = torch.arange(padded.shape[1], device=device) >= lengths
        # 2. their rows of the output layer, or the whole layer where they are many
        self._own: Tensor | None = None
        self._whole: Tensor | None = None
        bias = torch.zeros(padded.shape, device=device)
        if shared.output_layer is not None:
            size = shared.stepper.vocabulary_size
            few = padded.numel() <= MOST_OWN * size
            matrix, given = shared.output_layer.output_rows(padded if few else torch.arange(size, device=device))
            self._own, self._whole = (matrix, None) if few else (None, matrix)
            if given is not None:
                bias = (given if few else given[padded]).to(torch.promote_types(given.dtype, torch.float32))
        self._bias = bias.masked_fill(absent, _NEVER).unsqueeze(1)
        self._tokens = torch.cat([shared.tokens.expand(len(lists), -1), padded], dim=1)
        self.vocabulary_size = self._tokens.shape[1]

    def to_shortlist(self, each: int, tokens: Sequence[int]) -> tuple[int, ...]:
        """The shortlist ids of tokens of an input, all of which are in its shortlist."""
        shared, own = self._shared.ids, self._ids[each]
        return tuple(shared[token] if token in shared else own[token] for token in tokens)

    def to_vocabulary(self, each: int, ids: Sequence[int]) -> tuple[int, ...]:
        """The tokens that shortlist ids stand for in an input."""
        return tuple(self._tokens[each].index_select(0, self._tokens.new_tensor(ids)).tolist())

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        """See :meth:`Decoder.start`; the annotations are those of the batch."""
        assert len(annotations) == len(self._tokens), "made for one batch"
        inner = self._shared.stepper.start(annotations, rows=rows)
        return ShortlistState(
            inner.memory,
            inner.rows,
            inner.length,
            inner=inner,
            tokens=self._tokens,
            own=self._own,
            bias=self._bias,
        )

    def step(self, state: State, tokens: Tensor) -> Step:
        """See :meth:`Decoder.step`; tokens and logits have the ids of the shortlist."""
        assert isinstance(state, ShortlistState), "a state of this stepper's own start"
        step, product = self._shared.stepper.step(state.inner, state.tokens.gather(1, tokens)), self._shared.product
        output = step.logits if product is None else step.readout
        flat = output.flatten(0, -2)
        if isinstance(step, ActiveStep):
            block = flat.new_zeros(tokens.numel(), flat.shape[1]).index_copy_(0, step.active, flat)
            own = self._own_logits(block.view(*tokens.shape, -1), state).flatten(0, 1).index_select(0, step.active)
        else:
            own = self._own_logits(output, state).flatten(0, 1)
        shared = flat.index_select(1, self._shared.tokens) if product is None else product(flat)
        logits = torch.cat([shared, own], dim=1).view(*output.shape[:-1], -1)
        following = state.following(step.state)
        if isinstance(step, ActiveStep):
            return ActiveStep(logits, following, step.weights, active=step.active)
        return Step(logits, following, step.weights)

    def _own_logits(self, output: Tensor, state: ShortlistState) -> Tensor:
        """Of the own tokens [batch, rows, own tokens], from readouts or from the logits of all tokens."""
        tokens = state.tokens[:, None, len(self._shared.tokens) :].expand(-1, output.shape[1], -1)
        if state.own is not None:
            own = torch.bmm(output.to(state.own.dtype), state.own.transpose(1, 2))
        elif self._whole is not None:
            own = linear(output.to(self._whole.dtype), self._whole).gather(2, tokens)
        else:
            own = output.gather(2, tokens)
        return own.to(output.dtype) + state.bias
