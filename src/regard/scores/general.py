"""``general``: a dot product with a learned matrix between."""

from __future__ import annotations

from torch import Tensor, nn

from regard.scores.base import Score


class General(Score):
    """qᵀW k (Luong 2015 eq. 8)."""

    def __init__(self, query_dim: int, dim: int, *, attention_dim: int) -> None:
        super().__init__()
        self.key_dim = query_dim
        self.W = nn.Linear(dim, query_dim, bias=False)

    def keys(self, values: Tensor) -> Tensor:
        keys: Tensor = self.W(values)
        return keys

    def compare(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.transpose(1, 2)
