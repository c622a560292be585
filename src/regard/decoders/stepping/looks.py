"""An attention made ready for stepping: what inputs are remembered by, and weights from queries that come projected."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from regard.attention import Attention, Memory, masked_softmax
from regard.decoders.stepping.words import WordTable
from regard.decoders.walking import query_operands, score_scale
from regard.kernels.additive import additive_scores_reference
from regard.kernels.looking import additive_looks, key_powers, powers_fit


@dataclass(frozen=True, kw_only=True)
class StepMemory(Memory):
    """What all rows of an input share while a search steps.

    ``keys`` are those of the attention, or, where ``room`` is positive, their powers (:mod:`regard.kernels.looking`).

    Attributes:
        room: how large a number of a query may be for the powers to be used.
        words: what words add to a step.
    """

    room: float
    words: WordTable


class Looks:
    """Weights of soft attention under any score.

    Args:
        attention: soft and global.

    Attributes:
        W_q: the projection of queries [key_dim, query_dim], which the caller takes together with other products; None
            where the state itself is the query.
    """

    def __init__(self, attention: Attention) -> None:
        operands = {name: tensor.detach() for name, tensor in query_operands(attention.score).items()}
        self.W_q, self._v = operands.get("W_q"), operands.get("v")
        self._scale = score_scale(attention.score)

    def remember(self, memory: Memory, values: Tensor, words: WordTable) -> StepMemory:
        """The memory of an attention, with ``values`` [batch, position, dim] to be mixed."""
        room = 0.0 if self._v is None else powers_fit(memory.keys)
        keys = key_powers(memory.keys) if room > 0 else memory.keys
        return StepMemory(values, keys, memory.mask, room=room, words=words)

    def weights(self, query: Tensor, memory: StepMemory) -> Tensor:
        """α [batch, rows, position], of projected queries [batch, rows, key_dim]."""
        return masked_softmax(self._scores(query, memory), memory.mask)

    def _scores(self, query: Tensor, memory: StepMemory) -> Tensor:
        if self._v is None:
            return torch.bmm(query, memory.keys.transpose(1, 2)).mul_(self._scale)
        if memory.room <= 0:
            return additive_scores_reference(query, memory.keys, self._v)
        if float(query.abs().amax()) < memory.room:
            return additive_looks(query, memory.keys, self._v)
        return additive_scores_reference(query, memory.keys.log() / -2, self._v)
