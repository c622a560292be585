"""Soft attention prepared for a search: what is computed once per input, and weights from projected queries."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from regard.attention import Attention, Memory, masked_softmax
from regard.fast.attention import key_matrix, query_operands, score_scale
from regard.ops.additive import exp_keys, search_query_limit, search_scores
from regard.ops.cpu.compiled import current_ops
from regard.ops.packing import GroupedRows
from regard.ops.weighted_sum import weighted_sum


@dataclass(frozen=True, kw_only=True)
class PreparedMemory(Memory):
    """What all rows of an input share during a search.

    ``keys`` are those of the attention, or, where ``query_limit`` is positive, e^{−2k} (:mod:`regard.ops.additive`).

    Attributes:
        query_limit: how large an element of a query may be for the exponentials to be used.
    """

    query_limit: float


class PreparedAttention:
    """Weights of soft attention under any known score.

    Args:
        attention: soft and global.

    Attributes:
        W_q: the projection of queries [key_dim, query_dim], which the caller stacks with other matrices; None where
            the state itself is the query.
        W_k: that of keys [key_dim, dim], likewise; None where the annotations themselves are the keys.
    """

    def __init__(self, attention: Attention) -> None:
        operands = {name: tensor.detach() for name, tensor in query_operands(attention.score).items()}
        self.W_q, self._v = operands.get("W_q"), operands.get("v")
        self._scale = score_scale(attention.score)
        matrix = key_matrix(attention.score)
        self.W_k = None if matrix is None else matrix.detach()

    def remember(self, keys: Tensor, values: Tensor, mask: Tensor | None) -> PreparedMemory:
        """The memory of keys [batch, position, key_dim] and of values [batch, position, dim]."""
        if current_ops(values.device, values.dtype) is not None:
            values = values.contiguous()  # otherwise copied at every step
        limit = 0.0 if self._v is None else search_query_limit(keys)
        return PreparedMemory(values, exp_keys(keys) if limit > 0 else keys, mask, query_limit=limit)

    def __call__(self, query: Tensor, memory: Memory, rows: GroupedRows) -> tuple[Tensor, Tensor]:
        """Contexts [rows, dim] of projected queries [rows, key_dim], and their weights [rows, position]."""
        assert isinstance(memory, PreparedMemory), "a memory of this attention"
        scores = self._scores(query, memory, rows)
        if memory.mask is None:
            weights = torch.softmax(scores, dim=-1)
        else:
            mask = memory.mask.index_select(0, rows.batch_index())
            weights = masked_softmax(scores.unsqueeze(1), mask).squeeze(1)
        return weighted_sum(weights, memory.values, rows), weights

    def _scores(self, query: Tensor, memory: PreparedMemory, rows: GroupedRows) -> Tensor:
        if self._v is not None and memory.query_limit > 0 and float(query.abs().amax()) < memory.query_limit:
            return search_scores(query, memory.keys, self._v, rows)
        block = rows.to_block(query)
        if self._v is None:
            return rows.from_block(torch.bmm(block, memory.keys.transpose(1, 2))).mul_(self._scale)
        keys = memory.keys.log() / -2 if memory.query_limit > 0 else memory.keys
        return rows.from_block(torch.tanh(block.unsqueeze(2) + keys.unsqueeze(1)) @ self._v)
