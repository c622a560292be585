"""Scores of many queries against the same keys, forwards and backwards, for scans over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from regard.ops.packing import GroupedRows

if TYPE_CHECKING:
    from jaxtyping import Float


class Scorer(Protocol):
    """Compares queries with constant keys; gradients of the keys are summed over the calls."""

    def scores(self, query: Float[Tensor, "rows dim"], rows: GroupedRows) -> Float[Tensor, "rows position"]:
        """[rows, position], of queries [rows, dim] to the keys of their own inputs."""

    def backward(
        self, query: Float[Tensor, "rows dim"], gradient: Float[Tensor, "rows position"], rows: GroupedRows
    ) -> Float[Tensor, "rows dim"]:
        """The gradient of queries from that of their scores."""

    def gradients(self) -> tuple[Tensor, Tensor | None]:
        """The gradients of the keys and of v, where there is one."""


class DotScorer:
    """``scale`` qᵀk, of keys [batch, position, dim]."""

    def __init__(self, keys: Tensor, scale: float) -> None:
        self._keys, self._scale = keys, scale
        self._sums: Tensor | None = None

    def scores(self, query: Float[Tensor, "rows dim"], rows: GroupedRows) -> Float[Tensor, "rows position"]:
        """See :class:`Scorer`."""
        scores = torch.bmm(rows.to_block(query), self._keys[: rows.num_inputs].transpose(1, 2))
        return rows.from_block(scores).mul_(self._scale)

    def backward(
        self, query: Float[Tensor, "rows dim"], gradient: Float[Tensor, "rows position"], rows: GroupedRows
    ) -> Float[Tensor, "rows dim"]:
        """See :class:`Scorer`."""
        if self._sums is None:
            self._sums = torch.zeros_like(self._keys)
        scaled = rows.to_block(gradient * self._scale)
        self._sums[: rows.num_inputs].baddbmm_(scaled.transpose(1, 2), rows.to_block(query))
        return rows.from_block(torch.bmm(scaled, self._keys[: rows.num_inputs]))

    def gradients(self) -> tuple[Tensor, Tensor | None]:
        """See :class:`Scorer`."""
        assert self._sums is not None, "backward comes first"
        return self._sums, None
