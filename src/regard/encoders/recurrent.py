"""``recurrent``: a GRU or LSTM over a sentence, in one direction or both, in one or more layers.

    →h_i = RNN(E x_i, →h_{i−1})        ←h_i = RNN(E x_i, ←h_{i+1})        h_i = [→h_i; ←h_i]

Bahdanau et al. 2015, §3.2 and appendix A.2.1, with the unit of ``torch.nn.GRU`` or ``torch.nn.LSTM`` in place of the
paper's, which applies the reset gate before the product and not behind it. Sentences are packed, so the backward half
begins at each sentence's own last token and padding is never read.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from regard.annotations import Annotations
from regard.config import PartSettings
from regard.encoders.text import TextEncoder


class RecurrentSettings(PartSettings):
    """Settings of the ``recurrent`` encoder."""

    name: Literal["recurrent"] = "recurrent"
    embedding: int = Field(256, ge=1, le=8192)
    hidden: int = Field(256, ge=1, le=8192)
    """Of one direction."""
    cell: Literal["gru", "lstm"] = "gru"
    layers: int = Field(1, ge=1, le=64)
    bidirectional: bool = True
    dropout: float = Field(0.0, ge=0, lt=1)
    """Between layers, on the annotations and on the summary."""
    embedding_dropout: float = Field(0.0, ge=0, lt=1)


class RecurrentEncoder(TextEncoder):
    """Gives the states of the last layer as annotations and its last states as summary.

    Args:
        settings: sizes and options.
        vocabulary_size: number of source tokens.
    """

    settings_class = RecurrentSettings

    def __init__(self, settings: RecurrentSettings, *, vocabulary_size: int) -> None:
        super().__init__()
        self.settings = settings
        self.dim = settings.hidden * (2 if settings.bidirectional else 1)
        self.backward_dim = settings.hidden if settings.bidirectional else 0
        self.E = nn.Embedding(vocabulary_size, settings.embedding)
        nn.init.normal_(self.E.weight, std=settings.embedding**-0.5)
        kind = nn.LSTM if settings.cell == "lstm" else nn.GRU
        self.network = kind(
            settings.embedding,
            settings.hidden,
            settings.layers,
            batch_first=True,
            dropout=settings.dropout if settings.layers > 1 else 0.0,
            bidirectional=settings.bidirectional,
        )
        self._initialise()
        self.dropout = nn.Dropout(settings.dropout)
        self.embedding_dropout = nn.Dropout(settings.embedding_dropout)

    @torch.no_grad()
    def _initialise(self) -> None:
        """Orthogonal matrices for the states; larger weights for E x by as much as its numbers are smaller than 1."""
        for name, parameter in self.network.named_parameters():
            if name.startswith("weight_hh"):
                for gate in torch.split(parameter, self.settings.hidden):
                    nn.init.orthogonal_(gate)
            elif name.startswith("weight_ih_l0"):
                parameter.mul_(math.sqrt(self.settings.embedding))

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Annotations:
        embedded = self.embedding_dropout(self.E(tokens))
        if mask is None:
            values, last = self.network(embedded)
        else:
            lengths = mask.sum(dim=1).cpu()
            packed, last = self.network(pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False))
            values, _ = pad_packed_sequence(packed, batch_first=True, total_length=tokens.shape[1])
        h = last[0] if isinstance(last, tuple) else last
        summary = torch.cat([h[-2], h[-1]], dim=-1) if self.settings.bidirectional else h[-1]
        return Annotations(self.dropout(values), mask, self.dropout(summary))
