"""Products over all tokens of the decoders with the gated unit (see :mod:`regard.decoders.gated` for the formulas)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.decoders.gated import GatedDecoder
from regard.fast.training.scans import drop


class GatedPass:
    """The embeddings, their share of the gates, and the readout of one pass."""

    def __init__(self, decoder: GatedDecoder) -> None:
        self._decoder = decoder
        self.stacked = decoder.stacked()

    def embed(self, tokens: Tensor) -> Tensor:
        """E y [..., m]."""
        return drop(self._decoder.embedding_dropout, self._decoder.E(tokens))

    def word_inputs(self, embedded: Tensor) -> Tensor:
        """What E y [..., m] adds to z, r and s̃, [..., 3n]."""
        biases: list[Tensor] = [
            bias for bias in (self._decoder.b_z, self._decoder.b_r, self._decoder.b) if bias is not None
        ]
        return linear(embedded, self.stacked.words, torch.cat(biases) if biases else None)

    def readout(self, s: Tensor, embedded: Tensor, c: Tensor) -> Tensor:
        """t [..., l] of s_{t−1} [..., n], E y_{t−1} [..., m] and c_t [..., dim]."""
        decoder = self._decoder
        pairs = linear(s, decoder.U_o) + linear(embedded, decoder.V_o, decoder.b_t) + linear(c, decoder.C_o)
        return drop(decoder.dropout, torch.maximum(pairs[..., 0::2], pairs[..., 1::2]))
