"""Show, Attend and Tell in compact plain PyTorch, as one writes it with care but without kernels: a peer.

Keys are projected once, the captions of an image share it, the vocabulary product is taken once, for real tokens; the
steps go through autograd, over all captions padded to the longest. Beam search runs over a batch of images, with keys
and images shared by the rows of a beam. The equations are those of :mod:`regard.decoders.attend`, so the same weights
give the same numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from regard.decoders.attend import AttendDecoder
from regard.decoders.cells import LSTMCell
from regard.scores.additive import Additive

BOS, EOS = 1, 2
FORBIDDEN = (0, 1, 3)
_NEVER = float("-inf")


class Rows(NamedTuple):
    """The states of an LSTM, each [batch, rows, hidden]."""

    h: Tensor
    c: Tensor


class PlainAttend(nn.Module):
    """Soft additive attention with the gate, an LSTM, the deep output and one matrix for words read and written.

    Args:
        dim: size of one annotation.
        hidden: of the LSTM, the attention and the embeddings.
        vocabulary: number of words.
        dropout: on h and on the readout.
    """

    def __init__(self, *, dim: int, hidden: int, vocabulary: int, dropout: float) -> None:
        super().__init__()
        self.E = nn.Embedding(vocabulary, hidden)
        self.W_a, self.W_h = nn.Linear(dim, hidden, bias=False), nn.Linear(hidden, hidden, bias=False)
        self.v = nn.Parameter(torch.randn(hidden) * hidden**-0.5)
        self.cell = nn.LSTMCell(hidden + dim, hidden)
        self.start_h, self.start_c = nn.Linear(dim, hidden), nn.Linear(dim, hidden)
        self.w_beta = nn.Linear(hidden, 1)
        self.L_h, self.L_z = nn.Linear(hidden, hidden), nn.Linear(dim, hidden, bias=False)
        self.L_o = nn.Linear(hidden, vocabulary)
        self.L_o.weight = self.E.weight
        self.dropout = nn.Dropout(dropout)

    @classmethod
    def copy_of(cls, decoder: AttendDecoder, *, dim: int) -> PlainAttend:
        """The same model with the weights of ours, whose settings are those of this class."""
        score, cell, starts = decoder.attention.score, decoder.cell, decoder.start_states
        assert isinstance(score, Additive), "an additive score"
        assert isinstance(cell, LSTMCell), "an LSTM"
        assert decoder.w_beta is not None, "with the gate"
        assert decoder.L_z is not None, "with the deep output"
        settings = decoder.settings
        plain = cls(dim=dim, hidden=settings.hidden, vocabulary=decoder.vocabulary_size, dropout=settings.dropout)
        pairs: list[tuple[nn.Module, nn.Module]] = [
            (plain.W_a, score.U),
            (plain.W_h, score.W),
            (plain.cell, cell),
            (plain.start_h, starts["h"]),
            (plain.start_c, starts["c"]),
            (plain.w_beta, decoder.w_beta),
            (plain.L_h, decoder.L_h),
            (plain.L_z, decoder.L_z),
            (plain.L_o, decoder.L_o),
        ]
        for to, origin in pairs:
            to.load_state_dict(origin.state_dict())
        with torch.no_grad():
            plain.v.copy_(score.v)
        return plain.to(score.v)

    def begin(self, annotations: Tensor, *, rows: int) -> Rows:
        """The states before the first word, from annotations [batch, position, dim]."""
        mean = annotations.mean(dim=1)
        h, c = torch.tanh(self.start_h(mean)), torch.tanh(self.start_c(mean))
        return Rows(h.unsqueeze(1).expand(-1, rows, -1), c.unsqueeze(1).expand(-1, rows, -1))

    def advance(self, annotations: Tensor, keys: Tensor, embedded: Tensor, rows: Rows) -> tuple[Rows, Tensor]:
        """The next states and z [batch, rows, dim], from E y [batch, rows, hidden]."""
        inner = torch.tanh(keys.unsqueeze(1) + self.W_h(rows.h).unsqueeze(2))
        weights = torch.softmax(inner @ self.v, dim=-1)
        z = torch.sigmoid(self.w_beta(rows.h)) * (weights @ annotations)
        h, c = self.cell(torch.cat([embedded, z], dim=-1).flatten(0, 1), (rows.h.flatten(0, 1), rows.c.flatten(0, 1)))
        return Rows(h.view_as(rows.h), c.view_as(rows.c)), z

    def readout(self, embedded: Tensor, h: Tensor, z: Tensor) -> Tensor:
        """What the vocabulary product is taken of, [..., hidden]."""
        readout: Tensor = self.dropout(embedded + self.L_h(self.dropout(h)) + self.L_z(z))
        return readout

    def forward(self, annotations: Tensor, tokens: Tensor, real: Tensor) -> Tensor:
        """Logits [real tokens, vocabulary].

        Args:
            annotations: [batch, position, dim].
            tokens: int64 [batch, rows, time].
            real: bool [batch, rows, time].
        """
        keys, embedded = self.W_a(annotations), self.E(tokens)
        rows = self.begin(annotations, rows=tokens.shape[1])
        states, contexts = [], []
        for t in range(tokens.shape[2]):
            rows, z = self.advance(annotations, keys, embedded[:, :, t], rows)
            states.append(rows.h)
            contexts.append(z)
        h, z = torch.stack(states, dim=2)[real], torch.stack(contexts, dim=2)[real]
        logits: Tensor = self.L_o(self.readout(embedded[real], h, z))
        return logits

    @torch.inference_mode()
    def search(self, annotations: Tensor, *, beam: int, most: int, least: int = 0) -> list[list[int]]:
        """The most probable caption found of each image; a caption that ended keeps its place in the beam.

        Args:
            annotations: [batch, position, dim].
            beam: captions kept of each image.
            most, least: how many words, the end counted in ``most``.
        """
        batch = len(annotations)
        keys, rows = self.W_a(annotations), self.begin(annotations, rows=beam)
        images = torch.arange(batch, device=annotations.device).unsqueeze(1)
        totals = torch.full((batch, beam), _NEVER, device=annotations.device)
        totals[:, 0] = 0.0
        said = torch.full((batch, beam, 1), BOS, device=annotations.device)
        found = _Found(batch, beam)
        for step in range(most):
            embedded = self.E(said[:, :, -1])
            rows, z = self.advance(annotations, keys, embedded, rows)
            scores = torch.log_softmax(self.L_o(self.readout(embedded, rows.h, z)), dim=-1)
            scores[..., list(FORBIDDEN)] = _NEVER
            if step < least:
                scores[..., EOS] = _NEVER
            totals, places = (totals.unsqueeze(-1) + scores).flatten(1).topk(beam, dim=1)
            parents, words = places // scores.shape[-1], places % scores.shape[-1]
            said = torch.cat([said[images, parents], words.unsqueeze(-1)], dim=-1)
            rows = Rows(rows.h[images, parents], rows.c[images, parents])
            totals = found.take_ended(totals, words, said)
            if not bool((totals > _NEVER).any()):
                break
        return found.best(totals, said)


class _Found:
    """The best ended caption of each image, and how many places of its beam are left."""

    def __init__(self, batch: int, beam: int) -> None:
        self.free = [beam] * batch
        self.captions: list[tuple[float, list[int]]] = [(_NEVER, []) for _ in range(batch)]

    def take_ended(self, totals: Tensor, words: Tensor, said: Tensor) -> Tensor:
        """Totals [batch, beam] without what has ended and what has no place."""
        if not bool((words == EOS).any()) and min(self.free) == totals.shape[1]:
            return totals
        totals = totals.clone()
        for image, place in torch.nonzero(words == EOS).tolist():
            total = float(totals[image, place])
            if place < self.free[image] and total > self.captions[image][0]:
                self.captions[image] = (total, said[image, place, 1:-1].tolist())
        for image, free in enumerate(self.free):
            totals[image, free:] = _NEVER
            ended = (words[image] == EOS) & (totals[image] > _NEVER)
            self.free[image] = free - int(ended.sum())
            totals[image, ended] = _NEVER
        return totals

    def best(self, totals: Tensor, said: Tensor) -> list[list[int]]:
        """What ended, else the best of what did not."""
        places = totals.argmax(dim=1).tolist()
        return [
            words if score > _NEVER else said[image, place, 1:].tolist()
            for image, (place, (score, words)) in enumerate(zip(places, self.captions, strict=True))
        ]
