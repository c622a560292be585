"""Attention, once for pictures and sentences: compare a query with keys, softmax the scores, mix the values.

    e_i = score(query, key_i)        α = softmax(e)        context = Σ_i α_i value_i

The query is a decoder's state; keys and values are an encoder's annotations. Keys are projected once per input by
:meth:`Attention.remember`, never once per word. Queries come as [batch, rows, dim]: the rows are the captions of one
image in training and the hypotheses of one input in search, so that all rows share one copy of the annotations.

Sources: Bahdanau et al. 2015 (additive), Luong et al. 2015 §3.1 (dot, general, concat), Vaswani et al. 2017 §3.2.1
(scaled dot), Xu et al. 2015 §4 (soft and hard).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.errors import ConfigError

ScoreName = Literal["dot", "scaled_dot", "general", "concat", "additive"]


@dataclass(frozen=True)
class Memory:
    """Annotations made ready for queries: everything that does not depend on the step.

    Attributes:
        values: float [batch, position, dim].
        keys: float [batch, position, key_dim], already projected.
        mask: bool [batch, position], True on real positions, or None when all are real.
    """

    values: Tensor
    keys: Tensor
    mask: Tensor | None = None

    def select(self, index: Tensor) -> Memory:
        """The inputs at ``index`` (int64 [kept]), in that order."""
        mask = None if self.mask is None else self.mask[index]
        return Memory(self.values[index], self.keys[index], mask)

    def first(self, count: int) -> Memory:
        """The first ``count`` inputs, as views."""
        mask = None if self.mask is None else self.mask[:count]
        return Memory(self.values[:count], self.keys[:count], mask)


@dataclass(frozen=True)
class Attended:
    """What one look returns.

    Attributes:
        context: [batch, rows, dim], the mixed (soft) or chosen (hard) values.
        weights: [batch, rows, position]; sum to 1 over real positions, exactly 0 on masked ones.
        log_choice: [batch, rows], log-probability of the region that hard attention sampled; None when nothing was
            sampled.
    """

    context: Tensor
    weights: Tensor
    log_choice: Tensor | None = None


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the last dimension; masked positions get exactly 0.

    Args:
        scores: [batch, rows, position].
        mask: bool [batch, position] or None; every input has at least one real position.
    """
    if mask is not None:
        scores = scores.masked_fill(~mask.unsqueeze(1), float("-inf"))
    return torch.softmax(scores, dim=-1)


class Score(nn.Module, ABC):
    """How a query is compared with a key: ``compare(query(q), keys(k))``, [batch, rows, position]."""

    key_dim: int

    @abstractmethod
    def keys(self, values: Tensor) -> Tensor:
        """Project [batch, position, dim] to what :meth:`compare` takes; done once per input."""

    def query(self, query: Tensor) -> Tensor:
        """Project [batch, rows, query_dim] to what :meth:`compare` takes."""
        return query

    @abstractmethod
    def compare(self, query: Tensor, keys: Tensor) -> Tensor:
        """Scores [batch, rows, position]."""

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """Scores [batch, rows, position] of queries [batch, rows, query_dim] against projected keys."""
        return self.compare(self.query(query), keys)


class Dot(Score):
    """qᵀk, divided by √d when ``scaled`` (Luong 2015 eq. 8; Vaswani 2017 eq. 1). Query and annotations have one size."""

    def __init__(self, query_dim: int, dim: int, *, scaled: bool) -> None:
        super().__init__()
        if query_dim != dim:
            name = "scaled_dot" if scaled else "dot"
            raise ConfigError(
                f"score {name!r} compares a query of {query_dim} numbers with annotations of {dim}",
                allowed="equal sizes",
                remedy="choose score: general, or set the model's bridge to the decoder's hidden size",
            )
        self.key_dim = dim
        self.scale = 1 / math.sqrt(dim) if scaled else 1.0

    def keys(self, values: Tensor) -> Tensor:
        return values

    def query(self, query: Tensor) -> Tensor:
        return query * self.scale

    def compare(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.transpose(1, 2)


class General(Score):
    """qᵀW k (Luong 2015 eq. 8)."""

    def __init__(self, query_dim: int, dim: int) -> None:
        super().__init__()
        self.key_dim = query_dim
        self.W = nn.Linear(dim, query_dim, bias=False)

    def keys(self, values: Tensor) -> Tensor:
        keys: Tensor = self.W(values)
        return keys

    def compare(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.transpose(1, 2)


class Additive(Score):
    """vᵀ tanh(W q + U k) (Bahdanau 2015, appendix A.1.2)."""

    def __init__(self, query_dim: int, dim: int, *, attention_dim: int) -> None:
        super().__init__()
        self.key_dim = attention_dim
        self.W = nn.Linear(query_dim, attention_dim, bias=False)
        self.U = nn.Linear(dim, attention_dim, bias=False)
        self.v = nn.Parameter(torch.empty(attention_dim))
        nn.init.uniform_(self.v, -1 / math.sqrt(attention_dim), 1 / math.sqrt(attention_dim))

    def keys(self, values: Tensor) -> Tensor:
        keys: Tensor = self.U(values)
        return keys

    def query(self, query: Tensor) -> Tensor:
        projected: Tensor = self.W(query)
        return projected

    def compare(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1)) @ self.v


class Concat(Score):
    """vᵀ tanh(W [q; k]) (Luong 2015 eq. 8): one matrix over the joined vectors.

    The product is taken by halves, so that the half of the keys is computed once per input.
    """

    def __init__(self, query_dim: int, dim: int, *, attention_dim: int) -> None:
        super().__init__()
        self.key_dim = attention_dim
        self.query_dim = query_dim
        self.W = nn.Linear(query_dim + dim, attention_dim, bias=False)
        self.v = nn.Parameter(torch.empty(attention_dim))
        nn.init.uniform_(self.v, -1 / math.sqrt(attention_dim), 1 / math.sqrt(attention_dim))

    def keys(self, values: Tensor) -> Tensor:
        return nn.functional.linear(values, self.W.weight[:, self.query_dim :])

    def query(self, query: Tensor) -> Tensor:
        return nn.functional.linear(query, self.W.weight[:, : self.query_dim])

    def compare(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1)) @ self.v


def build_score(name: ScoreName, query_dim: int, dim: int, *, attention_dim: int) -> Score:
    """The score called ``name`` for queries of ``query_dim`` and annotations of ``dim`` numbers.

    Raises:
        ConfigError: ``dot`` or ``scaled_dot`` with two different sizes.
    """
    match name:
        case "dot" | "scaled_dot":
            return Dot(query_dim, dim, scaled=name == "scaled_dot")
        case "general":
            return General(query_dim, dim)
        case "concat":
            return Concat(query_dim, dim, attention_dim=attention_dim)
        case "additive":
            return Additive(query_dim, dim, attention_dim=attention_dim)


class Attention(nn.Module):
    """Soft attention: the context is the expectation of the values under the weights (Xu 2015 §4.2, eq. 8)."""

    def __init__(self, query_dim: int, dim: int, *, score: ScoreName = "additive", attention_dim: int = 512) -> None:
        super().__init__()
        self.score = build_score(score, query_dim, dim, attention_dim=attention_dim)

    def remember(self, annotations: Annotations) -> Memory:
        """Project the keys of a batch of inputs, once."""
        return Memory(annotations.values, self.score.keys(annotations.values), annotations.mask)

    def weights(self, query: Tensor, memory: Memory) -> Tensor:
        """α, [batch, rows, position], of queries [batch, rows, query_dim]."""
        return masked_softmax(self.score(query, memory.keys), memory.mask)

    def forward(self, query: Tensor, memory: Memory) -> Attended:
        """Look once with queries [batch, rows, query_dim]."""
        weights = self.weights(query, memory)
        return Attended(weights @ memory.values, weights)


class HardAttention(Attention):
    """Hard attention: one region is chosen (Xu 2015 §4.1).

    In training the region is sampled, i ~ Categorical(α), and its log-probability is returned for REINFORCE; with
    probability ½ a row takes the expectation instead, as the paper does to lower the variance. In evaluation the most
    probable region is taken, so that decoding is deterministic. ``weights`` are α in both cases.
    """

    def forward(self, query: Tensor, memory: Memory) -> Attended:
        weights = self.weights(query, memory)
        if not self.training:
            return Attended(_gather_rows(memory.values, weights.argmax(dim=-1)), weights)
        chosen = torch.multinomial(weights.flatten(0, 1), 1).view(weights.shape[:2])
        log_choice = weights.gather(-1, chosen.unsqueeze(-1)).squeeze(-1).clamp_min(1e-20).log()
        sampled = torch.rand(weights.shape[:2], device=weights.device) < 0.5
        context = torch.where(
            sampled.unsqueeze(-1), _gather_rows(memory.values, chosen), weights @ memory.values
        )
        return Attended(context, weights, torch.where(sampled, log_choice, torch.zeros_like(log_choice)))


def _gather_rows(values: Tensor, chosen: Tensor) -> Tensor:
    """The chosen positions [batch, rows] of values [batch, position, dim], as [batch, rows, dim]."""
    return values.gather(1, chosen.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
