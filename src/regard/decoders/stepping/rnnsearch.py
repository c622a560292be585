"""``rnnsearch`` step by step (see :mod:`regard.decoders.rnnsearch` and :mod:`regard.decoders.gated` for the formulas).

    sees    [U_z; U_r] s + [C_z; C_r; C] c and U_o s + C_o c, from s_{t−1} alone
    reads   [W_z; W_r; W] E y and V_o E y, then the unit, the maxout and the vocabulary product

The products of every matrix C with the annotations are taken once per input; mixed by the weights they are the products
with c. The two numbers of a maxout pair stand in two halves here, not side by side. Since tanh x = 2 σ(2x) − 1, and σ
takes a sixth of the time, what stands under tanh comes doubled.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.decoders.rnnsearch import RnnSearchDecoder
from regard.decoders.stepping.family import FamilyStepper, Rows
from regard.decoders.stepping.looks import Looks, StepMemory
from regard.decoders.stepping.rows import Looking
from regard.kernels.products import InferencePrecision, ready_product


class RnnSearchStepper(FamilyStepper):
    """Args:
    decoder: in evaluation mode.
    precision: of the products.
    """

    def __init__(self, decoder: RnnSearchDecoder, *, precision: InferencePrecision) -> None:
        looks = Looks(decoder.attention)
        super().__init__(looks, (decoder.W_o, decoder.b_o), precision)
        self._decoder, self._hidden = decoder, decoder.hidden
        joined = decoder.joined()
        words, context = (self._arranged(each) for each in (joined.words, joined.context))
        self._E, self._W_words = decoder.E.weight.detach(), torch.cat([words, _halves(decoder.V_o)])
        self._bias = self._bias_of_words()
        of_annotations = [context, _halves(decoder.C_o)]
        self._pairs, self._mixed = len(decoder.C_o), sum(map(len, of_annotations))
        if looks.W_k is not None:
            of_annotations.append(looks.W_k)
        self._of_annotations = ready_product(torch.cat(of_annotations), None, precision=precision)
        parts = [joined.gates, _halves(decoder.U_o)]
        if looks.W_q is not None:
            parts.append(looks.W_q)
        self._of_state = ready_product(torch.cat(parts), None, precision=precision)
        self._U = ready_product(decoder.U * 2, None, precision=precision)

    def _arranged(self, rows: Tensor) -> Tensor:
        """A matrix or a bias of z, r and s̃ as it is used here."""
        gates, candidate = torch.split(rows.detach(), [2 * self._hidden, self._hidden])
        return torch.cat([gates, candidate * 2])

    def _bias_of_words(self) -> Tensor | None:
        """What is added whatever the word: b_z, b_r, b and b_t."""
        decoder = self._decoder
        if decoder.b_z is None or decoder.b_r is None or decoder.b is None or decoder.b_t is None:
            return None
        gates = self._arranged(torch.cat([decoder.b_z, decoder.b_r, decoder.b]))
        return torch.cat([gates, _halves(decoder.b_t)])

    def _of_words(self, words: Tensor) -> Tensor:
        return linear(self._E[words], self._W_words, self._bias)

    def _remember(self, annotations: Annotations) -> tuple[Tensor, Tensor]:
        values = annotations.values
        product = self._of_annotations(values.flatten(0, 1)).view(*values.shape[:2], -1)
        keys, mixed = product[..., self._mixed :], product[..., : self._mixed]
        # they are read from memory at every step, and rounded they are read in half of the time
        rounded = mixed if self._precision == "float32" else mixed.bfloat16()
        return values if self._looks.W_k is None else keys, rounded

    def _first(self, annotations: Annotations) -> Rows:
        return {"s": self._decoder.first_state(annotations).squeeze(1)}

    def _see(self, memory: StepMemory, before: Rows, looking: Looking) -> tuple[Tensor, Tensor]:
        s, gates, pairs = before["s"].index_select(0, looking.rows), 2 * self._hidden, self._pairs
        product = self._of_state(s)
        query = s if self._looks.W_q is None else product[:, gates + pairs :].contiguous()
        seen, weights = self._mix(memory, query, looking)
        seen[:, :gates].add_(product[:, :gates])
        seen[:, -pairs:].add_(product[:, gates : gates + pairs])
        return seen, weights

    def _read(self, told: Tensor, before: Rows, parents: Tensor) -> tuple[Rows, Tensor]:
        n = self._hidden
        s = before["s"].index_select(0, parents)
        z, r = told[:, : 2 * n].sigmoid_().chunk(2, dim=1)
        candidate = self._U(r * s).add_(told[:, 2 * n : 3 * n]).sigmoid_().mul_(2).sub_(1)
        one, other = told[:, 3 * n :].chunk(2, dim=1)
        return {"s": torch.lerp(s, candidate, z)}, torch.maximum(one, other)


def _halves(pairs: Tensor) -> Tensor:
    """The rows of a matrix or a bias of the readout, the first of every pair before the second of every pair."""
    return torch.cat([pairs[0::2], pairs[1::2]]).detach()
