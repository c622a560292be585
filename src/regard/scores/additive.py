"""``additive`` and ``concat``: a network of one hidden layer compares query and key."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from regard.scores.base import Score

if TYPE_CHECKING:
    from jaxtyping import Float


class OneLayerScore(Score):
    """vᵀ tanh(q' + k') of a projected query and a projected key, both of ``attention_dim`` numbers."""

    def __init__(self, query_dim: int, dim: int, *, attention_dim: int) -> None:
        super().__init__()
        self.key_dim = attention_dim
        self.v = nn.Parameter(torch.empty(attention_dim))
        nn.init.uniform_(self.v, -1 / math.sqrt(attention_dim), 1 / math.sqrt(attention_dim))

    def compare(
        self, query: Float[Tensor, "batch rows key_dim"], keys: Float[Tensor, "batch position key_dim"]
    ) -> Float[Tensor, "batch rows position"]:
        return torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1)) @ self.v


class Additive(OneLayerScore):
    """vᵀ tanh(W q + U k) (Bahdanau 2015, appendix A.1.2)."""

    def __init__(self, query_dim: int, dim: int, *, attention_dim: int) -> None:
        super().__init__(query_dim, dim, attention_dim=attention_dim)
        self.W = nn.Linear(query_dim, attention_dim, bias=False)
        self.U = nn.Linear(dim, attention_dim, bias=False)

    def keys(self, values: Float[Tensor, "batch position dim"]) -> Float[Tensor, "batch position key_dim"]:
        keys: Tensor = self.U(values)
        return keys

    def query(self, query: Float[Tensor, "batch rows query_dim"]) -> Float[Tensor, "batch rows key_dim"]:
        projected: Tensor = self.W(query)
        return projected


class Concat(OneLayerScore):
    """vᵀ tanh(W [q; k]) (Luong 2015 eq. 8): one matrix over the joined vectors.

    The product is taken by halves, so that the half of the keys is computed once per input.
    """

    def __init__(self, query_dim: int, dim: int, *, attention_dim: int) -> None:
        super().__init__(query_dim, dim, attention_dim=attention_dim)
        self.query_dim = query_dim
        self.W = nn.Linear(query_dim + dim, attention_dim, bias=False)

    def keys(self, values: Float[Tensor, "batch position dim"]) -> Float[Tensor, "batch position key_dim"]:
        return nn.functional.linear(values, self.W.weight[:, self.query_dim :])

    def query(self, query: Float[Tensor, "batch rows query_dim"]) -> Float[Tensor, "batch rows key_dim"]:
        return nn.functional.linear(query, self.W.weight[:, : self.query_dim])
