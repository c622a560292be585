"""Show, Attend and Tell as tutorials write it: the peer that most users start from.

One copy of the image per caption, its annotations projected to keys again before every word, one step after the other
through autograd, captions sorted by length so that the rows still to be written come first. The loss is taken on real
tokens. Beam search takes one image at a time, with a copy of it for each caption of the beam.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

BOS, EOS = 1, 2
FORBIDDEN = (0, 1, 3)


class TextbookDecoder(nn.Module):
    """Soft additive attention with the gate and an LSTM.

    Args:
        dim: size of one annotation.
        hidden: of the LSTM, the attention and the embeddings.
        vocabulary: number of words.
        dropout: before the output layer.
    """

    def __init__(self, *, dim: int, hidden: int, vocabulary: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.to_keys, self.to_query, self.to_score = (
            nn.Linear(dim, hidden),
            nn.Linear(hidden, hidden),
            nn.Linear(hidden, 1),
        )
        self.cell = nn.LSTMCell(hidden + dim, hidden)
        self.start_h, self.start_c = nn.Linear(dim, hidden), nn.Linear(dim, hidden)
        self.gate = nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, vocabulary)

    def look(self, annotations: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """The context [rows, dim] and the weights [rows, position]."""
        inner = torch.relu(self.to_keys(annotations) + self.to_query(h).unsqueeze(1))
        weights = torch.softmax(self.to_score(inner).squeeze(2), dim=1)
        return (annotations * weights.unsqueeze(2)).sum(dim=1), weights

    def begin(self, annotations: Tensor) -> tuple[Tensor, Tensor]:
        """The first h and c, each [rows, hidden]."""
        mean = annotations.mean(dim=1)
        return self.start_h(mean), self.start_c(mean)

    def advance(self, annotations: Tensor, words: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [rows, vocabulary] and the next h and c, from the previous words int64 [rows]."""
        context, _ = self.look(annotations, h)
        context = torch.sigmoid(self.gate(h)) * context
        h, c = self.cell(torch.cat([self.embedding(words), context], dim=1), (h, c))
        return self.output(self.dropout(h)), h, c

    def forward(self, annotations: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Logits [rows, time, vocabulary] of captions sorted by length, longest first.

        Args:
            annotations: [rows, position, dim], one copy per caption.
            tokens: int64 [rows, time].
            lengths: int64 [rows].
        """
        rows, time = tokens.shape
        embedded = self.embedding(tokens)
        h, c = self.begin(annotations)
        logits = torch.zeros(rows, time, self.output.out_features, device=tokens.device)
        for t in range(time):
            left = int((lengths > t).sum())
            context, _ = self.look(annotations[:left], h[:left])
            context = torch.sigmoid(self.gate(h[:left])) * context
            h, c = self.cell(torch.cat([embedded[:left, t], context], dim=1), (h[:left], c[:left]))
            logits[:left, t] = self.output(self.dropout(h))
        return logits


class Stepwise(Protocol):
    """A decoder that goes from word to word and keeps nothing of an image between them."""

    def begin(self, annotations: Tensor) -> tuple[Tensor, Tensor]:
        """As in :class:`TextbookDecoder`."""

    def advance(self, annotations: Tensor, words: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As in :class:`TextbookDecoder`."""


@torch.inference_mode()
def search_one(decoder: Stepwise, annotations: Tensor, *, beam: int, most: int, least: int = 0) -> list[int]:
    """The most probable caption found of one image; the beam narrows as captions end.

    Args:
        decoder: in evaluation mode.
        annotations: [position, dim].
        beam: captions kept.
        most, least: how many words, the end counted in ``most``.
    """
    copies = annotations.expand(beam, -1, -1)
    h, c = decoder.begin(copies)
    said = torch.full((beam, 1), BOS, device=annotations.device)
    totals = torch.zeros(beam, 1, device=annotations.device)
    ended: list[tuple[float, list[int]]] = []
    for step in range(most):
        logits, h, c = decoder.advance(copies, said[:, -1], h, c)
        scores = torch.log_softmax(logits, dim=1)
        scores[:, list(FORBIDDEN)] = float("-inf")
        if step < least:
            scores[:, EOS] = float("-inf")
        scores = totals + scores
        # at first all rows are the same
        best, places = (scores[:1] if step == 0 else scores).flatten().topk(len(copies))
        rows, words = places // scores.shape[1], places % scores.shape[1]
        said = torch.cat([said[rows], words.unsqueeze(1)], dim=1)
        going_on = words != EOS
        ended += [(float(best[i]), said[i, 1:-1].tolist()) for i in torch.nonzero(~going_on).flatten().tolist()]
        if not bool(going_on.any()):
            break
        rows, said, totals = rows[going_on], said[going_on], best[going_on].unsqueeze(1)
        copies, h, c = copies[rows], h[rows], c[rows]
    if ended:
        return max(ended)[1]
    best_left: list[int] = said[int(totals.argmax()), 1:].tolist()
    return best_left
