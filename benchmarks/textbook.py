"""Show, Attend and Tell as tutorials write it: the peer that most users start from.

One copy of the image per caption, its annotations projected to keys again before every word, one step after the other
through autograd, captions sorted by length so that the rows still to be written come first. The loss is taken on real
tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


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

    def forward(self, annotations: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Logits [rows, time, vocabulary] of captions sorted by length, longest first.

        Args:
            annotations: [rows, position, dim], one copy per caption.
            tokens: int64 [rows, time].
            lengths: int64 [rows].
        """
        rows, time = tokens.shape
        embedded = self.embedding(tokens)
        mean = annotations.mean(dim=1)
        h, c = self.start_h(mean), self.start_c(mean)
        logits = torch.zeros(rows, time, self.output.out_features)
        for t in range(time):
            left = int((lengths > t).sum())
            context, _ = self.look(annotations[:left], h[:left])
            context = torch.sigmoid(self.gate(h[:left])) * context
            h, c = self.cell(torch.cat([embedded[:left, t], context], dim=1), (h[:left], c[:left]))
            logits[:left, t] = self.output(self.dropout(h))
        return logits
