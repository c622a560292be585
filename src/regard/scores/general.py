"""``general``: a dot product with a learned matrix between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from regard.scores.base import Score

if TYPE_CHECKING:
    from jaxtyping import Float


class General(Score):
    """qᵀW k (Luong 2015 eq. 8)."""

    def __init__(self, query_dim: int, dim: int, *, attention_dim: int) -> None:
        super().__init__()
        self.key_dim = query_dim
        self.W = nn.Linear(dim, query_dim, bias=False)

    def keys(self, values: Float[Tensor, "batch position dim"]) -> Float[Tensor, "batch position key_dim"]:
        keys: Tensor = self.W(values)
        return keys

    def compare(
        self, query: Float[Tensor, "batch rows key_dim"], keys: Float[Tensor, "batch position key_dim"]
    ) -> Float[Tensor, "batch rows position"]:
        return query @ keys.transpose(1, 2)
