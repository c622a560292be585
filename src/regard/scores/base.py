"""The interface of every score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from jaxtyping import Float


class Score(nn.Module, ABC):
    """How a query is compared with a key: ``compare(query(q), keys(k))``, [batch, rows, position].

    Every score is built from ``query_dim``, the size of a query, ``dim``, that of an annotation, and ``attention_dim``,
    that of the projections, for scores that have any.
    """

    key_dim: int

    @abstractmethod
    def keys(self, values: Float[Tensor, "batch position dim"]) -> Float[Tensor, "batch position key_dim"]:
        """Project [batch, position, dim] to what :meth:`compare` takes; done once per input."""

    def query(self, query: Float[Tensor, "batch rows query_dim"]) -> Float[Tensor, "batch rows key_dim"]:
        """Project [batch, rows, query_dim] to what :meth:`compare` takes."""
        return query

    @abstractmethod
    def compare(
        self, query: Float[Tensor, "batch rows key_dim"], keys: Float[Tensor, "batch position key_dim"]
    ) -> Float[Tensor, "batch rows position"]:
        """Scores [batch, rows, position]."""

    def forward(
        self, query: Float[Tensor, "batch rows query_dim"], keys: Float[Tensor, "batch position key_dim"]
    ) -> Float[Tensor, "batch rows position"]:
        """Scores [batch, rows, position] of queries [batch, rows, query_dim] against projected keys."""
        return self.compare(self.query(query), keys)
