"""``rnnsearch`` and ``rnnencdec`` in search (see :mod:`regard.decoders.gated` for the formulas).

    once a parent      [U_z; U_r] s + [C_z; C_r; C] c and U_o s + C_o c, from s_{t−1} alone
    each hypothesis    + [W_z; W_r; W] E y and V_o E y, then the unit, the maxout and the vocabulary product

The products of every matrix C are computed once per input, with the annotations or with the one vector c; their
weighted sums are the products with c. The two elements of a maxout pair stand in two halves here, not side by side.
Since tanh x = 2 σ(2x) − 1, and σ takes a sixth of the time, what stands under tanh comes doubled.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.base import Stepper
from regard.decoders.cells import Hidden
from regard.decoders.gated import GatedDecoder
from regard.decoders.rnnencdec import RnnEncDecDecoder
from regard.decoders.rnnsearch import RnnSearchDecoder
from regard.fast.attention import with_fused_attention
from regard.fast.search.beam_state import ParentIndex
from regard.fast.search.constant_memory import ConstantMemory
from regard.fast.search.incremental import UniqueParentDecoder
from regard.fast.search.prepared_attention import PreparedAttention, PreparedMemory
from regard.fast.search.prepared_cell import double_candidate
from regard.fast.support import knows_attention, on_cpu
from regard.ops.linear import InferencePrecision, inference_linear


def rnnsearch_twin(decoder: RnnSearchDecoder, precision: InferencePrecision) -> Stepper | None:
    """The incremental decoder on a CPU; on a GPU the decoder with fused attention; None for an unknown attention."""
    if not knows_attention(decoder.attention):
        return None
    if on_cpu(decoder):
        return IncrementalRnnSearch(decoder, precision=precision)
    gpu: Stepper = with_fused_attention(decoder)
    return gpu if precision == "float32" else None


def rnnencdec_twin(decoder: RnnEncDecDecoder, precision: InferencePrecision) -> Stepper | None:
    """The incremental decoder on a CPU, else None."""
    return IncrementalRnnEncDec(decoder, precision=precision) if on_cpu(decoder) else None


class IncrementalGated(UniqueParentDecoder):
    """What both share.

    Args:
        decoder: in evaluation mode.
        precision: of the products.
        attention: of the decoder, where it has one.
    """

    def __init__(
        self, decoder: GatedDecoder, *, precision: InferencePrecision, attention: PreparedAttention | None = None
    ) -> None:
        super().__init__((decoder.W_o, decoder.b_o), precision)
        self._hidden, self._bias = decoder.hidden, _token_bias(decoder)
        stacked, n = decoder.stacked(), decoder.hidden
        self._E = decoder.E.weight.detach()
        self._W_tokens = torch.cat([double_candidate(stacked.words, n), _halves(decoder.V_o)])
        annotation_rows = [double_candidate(stacked.context, n), _halves(decoder.C_o)]
        self._num_pairs, self._context_width = len(decoder.C_o), sum(map(len, annotation_rows))
        state_rows = [stacked.gates, _halves(decoder.U_o)]
        if attention is not None:
            annotation_rows += [] if attention.W_k is None else [attention.W_k]
            state_rows += [] if attention.W_q is None else [attention.W_q]
        self._from_annotations = inference_linear(torch.cat(annotation_rows), None, precision=precision)
        self._from_state = inference_linear(torch.cat(state_rows), None, precision=precision)
        self._U = inference_linear(decoder.U * 2, None, precision=precision)

    @abstractmethod
    def _context(self, memory: Memory, s: Tensor, query: Tensor, index: ParentIndex) -> tuple[Tensor, Tensor]:
        """The products with c [unique, width] in a new tensor, and the weights [unique, position]."""

    def _project_tokens(self, tokens: Tensor) -> Tensor:
        return linear(self._E[tokens], self._W_tokens, self._bias)

    def _attend(self, memory: Memory, before: Hidden, index: ParentIndex) -> tuple[Tensor, Tensor]:
        s, gates, pairs = before["s"].index_select(0, index.unique), 2 * self._hidden, self._num_pairs
        product = self._from_state(s)
        from_parents, weights = self._context(memory, s, product[:, gates + pairs :], index)
        from_parents[:, :gates].add_(product[:, :gates])
        from_parents[:, -pairs:].add_(product[:, gates : gates + pairs])
        return from_parents, weights

    def _update(self, inputs: Tensor, before: Hidden, parents: Tensor) -> tuple[Hidden, Tensor]:
        n = self._hidden
        s = before["s"].index_select(0, parents)
        z, r = inputs[:, : 2 * n].sigmoid_().chunk(2, dim=1)
        candidate = self._U(r * s).add_(inputs[:, 2 * n : 3 * n]).sigmoid_().mul_(2).sub_(1)
        one, other = inputs[:, 3 * n :].chunk(2, dim=1)
        return {"s": torch.lerp(s, candidate, z)}, torch.maximum(one, other)


class IncrementalRnnSearch(IncrementalGated):
    """With attention."""

    def __init__(self, decoder: RnnSearchDecoder, *, precision: InferencePrecision) -> None:
        self._decoder, self._attention = decoder, PreparedAttention(decoder.attention)
        super().__init__(decoder, precision=precision, attention=self._attention)

    def _remember(self, annotations: Annotations) -> PreparedMemory:
        values = annotations.values
        product = self._from_annotations(values.flatten(0, 1)).view(*values.shape[:2], -1)
        keys, projected = product[..., self._context_width :], product[..., : self._context_width]
        # they are read from memory at every step, and in bfloat16 they are read in half of the time
        projected = projected if self._precision == "float32" else projected.bfloat16()
        return self._attention.remember(values if self._attention.W_k is None else keys, projected, annotations.mask)

    def _first_state(self, annotations: Annotations) -> Hidden:
        return {"s": self._decoder.first_state(annotations).squeeze(1)}

    def _context(self, memory: Memory, s: Tensor, query: Tensor, index: ParentIndex) -> tuple[Tensor, Tensor]:
        return self._attention(s if self._attention.W_q is None else query.contiguous(), memory, index.rows)


class IncrementalRnnEncDec(IncrementalGated):
    """With one vector at every step."""

    def __init__(self, decoder: RnnEncDecDecoder, *, precision: InferencePrecision) -> None:
        self._decoder = decoder
        super().__init__(decoder, precision=precision)

    def _remember(self, annotations: Annotations) -> ConstantMemory:
        return ConstantMemory.of(annotations, self._from_annotations(annotations.vector()))

    def _first_state(self, annotations: Annotations) -> Hidden:
        return {"s": self._decoder.initial(annotations.vector()).squeeze(1)}

    def _context(self, memory: Memory, s: Tensor, query: Tensor, index: ParentIndex) -> tuple[Tensor, Tensor]:
        assert isinstance(memory, ConstantMemory), "a memory of this decoder's own start"
        return memory.at(index.rows)


def _token_bias(decoder: GatedDecoder) -> Tensor | None:
    """What is added whatever the token: b_z, b_r, b and b_t."""
    if decoder.b_z is None or decoder.b_r is None or decoder.b is None or decoder.b_t is None:
        return None
    gates = double_candidate(torch.cat([decoder.b_z, decoder.b_r, decoder.b]), decoder.hidden)
    return torch.cat([gates, _halves(decoder.b_t)])


def _halves(pairs: Tensor) -> Tensor:
    """The rows of a matrix or a bias of the readout, the first of every pair before the second of every pair."""
    return torch.cat([pairs[0::2], pairs[1::2]]).detach()
