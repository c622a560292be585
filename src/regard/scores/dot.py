"""Scores that are dot products of queries and annotations as they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from regard.errors import ConfigError
from regard.scores.base import Score

if TYPE_CHECKING:
    from jaxtyping import Float


class Dot(Score):
    """qᵀk (Luong 2015 eq. 8), of vectors of one size.

    Raises:
        ConfigError: two different sizes.
    """

    name: ClassVar[str] = "dot"
    scale: float = 1.0

    def __init__(self, query_dim: int, dim: int, *, attention_dim: int) -> None:
        super().__init__()
        if query_dim != dim:
            raise ConfigError(
                f"score {self.name!r} compares a query of {query_dim} numbers with annotations of {dim}",
                allowed="equal sizes",
                remedy="choose score: general, or set the model's bridge to the decoder's hidden size",
            )
        self.key_dim = dim

    def keys(self, values: Float[Tensor, "batch position dim"]) -> Float[Tensor, "batch position key_dim"]:
        return values

    def query(self, query: Float[Tensor, "batch rows query_dim"]) -> Float[Tensor, "batch rows key_dim"]:
        return query * self.scale

    def compare(
        self, query: Float[Tensor, "batch rows key_dim"], keys: Float[Tensor, "batch position key_dim"]
    ) -> Float[Tensor, "batch rows position"]:
        return query @ keys.transpose(1, 2)


class ScaledDot(Dot):
    """qᵀk / √d (Vaswani 2017 eq. 1)."""

    name = "scaled_dot"

    def __init__(self, query_dim: int, dim: int, *, attention_dim: int) -> None:
        super().__init__(query_dim, dim, attention_dim=attention_dim)
        self.scale = 1 / math.sqrt(dim)
