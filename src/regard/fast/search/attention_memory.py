"""An attention made ready for stepping: what inputs are remembered by, and weights from queries that come projected."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from regard.attention import Additive, Attention, Concat, General, Memory, Score, masked_softmax
from regard.fast.training.scan_operands import query_operands, score_scale
from regard.ops.additive import additive_scores_reference
from regard.ops.additive_search import additive_looks, key_powers, mix_looks, powers_fit
from regard.ops.cpu.compiled import current_loops
from regard.ops.packing import Rows


@dataclass(frozen=True, kw_only=True)
class StepMemory(Memory):
    """What all rows of an input share while a search steps.

    ``keys`` are those of the attention, or, where ``room`` is positive, their powers
    (:mod:`regard.ops.additive_search`).

    Attributes:
        room: how large a number of a query may be for the powers to be used.
    """

    room: float


class Looks:
    """Weights of soft attention under any score.

    Args:
        attention: soft and global.

    Attributes:
        W_q: the projection of queries [key_dim, query_dim], which the caller takes together with other products; None
            where the state itself is the query.
        W_k: that of keys [key_dim, dim], likewise; None where the annotations themselves are the keys.
    """

    def __init__(self, attention: Attention) -> None:
        operands = {name: tensor.detach() for name, tensor in query_operands(attention.score).items()}
        self.W_q, self._v = operands.get("W_q"), operands.get("v")
        self._scale = score_scale(attention.score)
        self.W_k = _key_matrix(attention.score)

    def remember(self, keys: Tensor, values: Tensor, mask: Tensor | None) -> StepMemory:
        """What is kept of keys [batch, position, key_dim] and of values [batch, position, dim] that are to be mixed."""
        if current_loops(values.device, values.dtype) is not None:
            values = values.contiguous()  # they would be laid out at every step
        room = 0.0 if self._v is None else powers_fit(keys)
        return StepMemory(values, key_powers(keys) if room > 0 else keys, mask, room=room)

    def __call__(self, query: Tensor, memory: Memory, rows: Rows) -> tuple[Tensor, Tensor]:
        """What projected queries [looks, key_dim] find [looks, dim], and their weights [looks, position]."""
        assert isinstance(memory, StepMemory), "a memory of these looks"
        scores = self._scores(query, memory, rows)
        if memory.mask is None:
            weights = torch.softmax(scores, dim=-1)
        else:
            mask = memory.mask.index_select(0, rows.owners())
            weights = masked_softmax(scores.unsqueeze(1), mask).squeeze(1)
        return mix_looks(weights, memory.values, rows), weights

    def _scores(self, query: Tensor, memory: StepMemory, rows: Rows) -> Tensor:
        if self._v is not None and memory.room > 0 and float(query.abs().amax()) < memory.room:
            return additive_looks(query, memory.keys, self._v, rows)
        block = rows.to_block(query)
        if self._v is None:
            return rows.from_block(torch.bmm(block, memory.keys.transpose(1, 2))).mul_(self._scale)
        keys = memory.keys.log() / -2 if memory.room > 0 else memory.keys
        return rows.from_block(additive_scores_reference(block, keys, self._v))


def _key_matrix(score: Score) -> Tensor | None:
    match score:
        case Additive():
            return score.U.weight.detach()
        case Concat():
            return score.W.weight[:, score.query_dim :].detach()
        case General():
            return score.W.weight.detach()
        case _:
            return None
