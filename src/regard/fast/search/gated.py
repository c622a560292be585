"""``rnnsearch`` and ``rnnencdec`` step by step (see :mod:`regard.decoders.gated` for the formulas).

    sees    [U_z; U_r] s + [C_z; C_r; C] c and U_o s + C_o c, from s_{t−1} alone
    reads   [W_z; W_r; W] E y and V_o E y, then the unit, the maxout and the vocabulary product

The products of every matrix C are taken once per input, with the annotations or with the one vector c; mixed by the
weights they are the products with c. The two numbers of a maxout pair stand in two halves here, not side by side. Since
tanh x = 2 σ(2x) − 1, and σ takes a sixth of the time, what stands under tanh comes doubled.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.gated import GatedDecoder
from regard.decoders.rnnencdec import RnnEncDecDecoder
from regard.decoders.rnnsearch import RnnSearchDecoder
from regard.fast.search.attention_memory import Looks, StepMemory
from regard.fast.search.cells import Vectors
from regard.fast.search.constant_memory import FixedMemory
from regard.fast.search.incremental import SharingStepper
from regard.fast.search.unique_parents import Looking
from regard.ops.linear import InferencePrecision, ready_product


class GatedStepper(SharingStepper):
    """What both share.

    Args:
        decoder: in evaluation mode.
        precision: of the products.
        looks: its attention, where it has one.
    """

    def __init__(self, decoder: GatedDecoder, *, precision: InferencePrecision, looks: Looks | None = None) -> None:
        super().__init__((decoder.W_o, decoder.b_o), precision)
        self._hidden, self._bias = decoder.hidden, _bias_of_words(decoder)
        joined, n = decoder.joined(), decoder.hidden
        self._E = decoder.E.weight.detach()
        self._W_words = torch.cat([_arranged(joined.words, n), _halves(decoder.V_o)])
        of_annotations = [_arranged(joined.context, n), _halves(decoder.C_o)]
        self._pairs, self._mixed = len(decoder.C_o), sum(map(len, of_annotations))
        of_state = [joined.gates, _halves(decoder.U_o)]
        if looks is not None:
            of_annotations += [] if looks.W_k is None else [looks.W_k]
            of_state += [] if looks.W_q is None else [looks.W_q]
        self._of_annotations = ready_product(torch.cat(of_annotations), None, precision=precision)
        self._of_state = ready_product(torch.cat(of_state), None, precision=precision)
        self._U = ready_product(decoder.U * 2, None, precision=precision)

    @abstractmethod
    def _find(self, memory: Memory, s: Tensor, projected: Tensor, looking: Looking) -> tuple[Tensor, Tensor]:
        """The products with c [looks, mixed] in a new tensor, and the weights [looks, position]."""

    def _of_words(self, words: Tensor) -> Tensor:
        return linear(self._E[words], self._W_words, self._bias)

    def _see(self, memory: Memory, before: Vectors, looking: Looking) -> tuple[Tensor, Tensor]:
        s, gates, pairs = before["s"].index_select(0, looking.rows), 2 * self._hidden, self._pairs
        product = self._of_state(s)
        seen, weights = self._find(memory, s, product[:, gates + pairs :], looking)
        seen[:, :gates].add_(product[:, :gates])
        seen[:, -pairs:].add_(product[:, gates : gates + pairs])
        return seen, weights

    def _read(self, told: Tensor, before: Vectors, parents: Tensor) -> tuple[Vectors, Tensor]:
        n = self._hidden
        s = before["s"].index_select(0, parents)
        z, r = told[:, : 2 * n].sigmoid_().chunk(2, dim=1)
        candidate = self._U(r * s).add_(told[:, 2 * n : 3 * n]).sigmoid_().mul_(2).sub_(1)
        one, other = told[:, 3 * n :].chunk(2, dim=1)
        return {"s": torch.lerp(s, candidate, z)}, torch.maximum(one, other)


class RnnSearchStepper(GatedStepper):
    """Looks at the annotations."""

    def __init__(self, decoder: RnnSearchDecoder, *, precision: InferencePrecision) -> None:
        self._decoder, self._looks = decoder, Looks(decoder.attention)
        super().__init__(decoder, precision=precision, looks=self._looks)

    def _remember(self, annotations: Annotations) -> StepMemory:
        values = annotations.values
        product = self._of_annotations(values.flatten(0, 1)).view(*values.shape[:2], -1)
        keys, mixed = product[..., self._mixed :], product[..., : self._mixed]
        # they are read from memory at every step, and rounded they are read in half of the time
        rounded = mixed if self._precision == "float32" else mixed.bfloat16()
        return self._looks.remember(values if self._looks.W_k is None else keys, rounded, annotations.mask)

    def _first(self, annotations: Annotations) -> Vectors:
        return {"s": self._decoder.first_state(annotations).squeeze(1)}

    def _find(self, memory: Memory, s: Tensor, projected: Tensor, looking: Looking) -> tuple[Tensor, Tensor]:
        return self._looks(s if self._looks.W_q is None else projected.contiguous(), memory, looking.looks)


class RnnEncDecStepper(GatedStepper):
    """Sees one vector at every step."""

    def __init__(self, decoder: RnnEncDecDecoder, *, precision: InferencePrecision) -> None:
        self._decoder = decoder
        super().__init__(decoder, precision=precision)

    def _remember(self, annotations: Annotations) -> FixedMemory:
        return FixedMemory.of(annotations, self._of_annotations(annotations.vector()))

    def _first(self, annotations: Annotations) -> Vectors:
        return {"s": self._decoder.initial(annotations.vector()).squeeze(1)}

    def _find(self, memory: Memory, s: Tensor, projected: Tensor, looking: Looking) -> tuple[Tensor, Tensor]:
        assert isinstance(memory, FixedMemory), "a memory of this stepper's own start"
        return memory.at(looking.looks)


def _arranged(rows: Tensor, hidden: int) -> Tensor:
    """A matrix or a bias of z, r and s̃ as it is used here."""
    gates, candidate = torch.split(rows.detach(), [2 * hidden, hidden])
    return torch.cat([gates, candidate * 2])


def _bias_of_words(decoder: GatedDecoder) -> Tensor | None:
    """What is added whatever the word: b_z, b_r, b and b_t."""
    if decoder.b_z is None or decoder.b_r is None or decoder.b is None or decoder.b_t is None:
        return None
    gates = _arranged(torch.cat([decoder.b_z, decoder.b_r, decoder.b]), decoder.hidden)
    return torch.cat([gates, _halves(decoder.b_t)])


def _halves(pairs: Tensor) -> Tensor:
    """The rows of a matrix or a bias of the readout, the first of every pair before the second of every pair."""
    return torch.cat([pairs[0::2], pairs[1::2]]).detach()
