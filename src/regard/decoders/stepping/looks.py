"""An attention made ready for stepping: what inputs are remembered by, and weights from queries that come projected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from regard.attention import Additive, Attention, Concat, General, Memory, Score, masked_softmax
from regard.decoders.walking import query_operands, score_scale
from regard.kernels.additive import additive_scores_reference
from regard.kernels.looking import additive_looks, key_powers, powers_fit


@dataclass(frozen=True, kw_only=True)
class StepMemory(Memory):
    """What all rows of an input share while a search steps.

    ``keys`` are those of the attention, or, where ``room`` is positive, their powers (:mod:`regard.kernels.looking`).

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
        room = 0.0 if self._v is None else powers_fit(keys)
        return StepMemory(values, key_powers(keys) if room > 0 else keys, mask, room=room)

    def weights(self, query: Tensor, memory: StepMemory, *, counts: Sequence[int]) -> Tensor:
        """α [batch, rows, position], of projected queries [batch, rows, key_dim].

        Only the first ``counts[b]`` rows of input b need to look; what the others get is nobody's.
        """
        return masked_softmax(self._scores(query, memory, counts), memory.mask)

    def _scores(self, query: Tensor, memory: StepMemory, counts: Sequence[int]) -> Tensor:
        if self._v is None:
            return torch.bmm(query, memory.keys.transpose(1, 2)).mul_(self._scale)
        if memory.room <= 0:
            return additive_scores_reference(query, memory.keys, self._v)
        if float(query.abs().amax()) < memory.room:
            return additive_looks(query, memory.keys, self._v, counts=counts)
        return additive_scores_reference(query, memory.keys.log() / -2, self._v)


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
