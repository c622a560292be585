"""Attention with fused operations: additive scores without their tanh, Triton on a GPU, multi-head without weights."""

from __future__ import annotations

import importlib.util
from copy import copy
from functools import cache
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn.functional import linear

from regard.attention import Attended, Attention, Memory, MultiHead
from regard.ops.additive import additive_scores
from regard.scores import Score
from regard.scores.additive import Additive, Concat
from regard.scores.dot import Dot
from regard.scores.general import General

TRITON_POSITIONS = 1024
"""The most positions whose scores a Triton program can hold."""

Module = TypeVar("Module", bound=nn.Module)


def key_matrix(score: Score) -> Tensor | None:
    """The projection of keys [key_dim, dim] of a known score; None where the annotations are the keys."""
    match score:
        case Additive():
            return score.U.weight
        case Concat():
            return score.W.weight[:, score.query_dim :]
        case General():
            return score.W.weight
        case _:
            return None


def project_keys(score: Score, values: Tensor) -> Tensor:
    """The keys [batch, position, key_dim] of a known score, of values [batch, position, dim]."""
    matrix = key_matrix(score)
    return values if matrix is None else linear(values, matrix)


def query_operands(score: Score) -> dict[str, Tensor]:
    """W_q and v of a known score, as a scan takes them; empty where the query itself is compared by a dot product."""
    match score:
        case Additive():
            return {"W_q": score.W.weight, "v": score.v}
        case Concat():
            return {"W_q": score.W.weight[:, : score.query_dim], "v": score.v}
        case _:
            return {}


def score_scale(score: Score) -> float:
    """The factor of dot products."""
    return score.scale if isinstance(score, Dot) else 1.0


def fused(attention: Attention) -> Attention:
    """The attention with fused operations, sharing its parameters; itself where there are none for it."""
    score = attention.score
    if type(score) is not Additive and type(score) is not Concat:
        return attention
    if score.v.device.type != "cpu":
        uses_triton = score.v.is_cuda and type(attention) is Attention and _has_triton()
        return TritonAttention(score) if uses_triton else attention
    return _with_part(attention, "score", _FusedScore(score))


def with_fused_attention(decoder: Any) -> Any:
    """A decoder whose ``attention`` is fused, sharing all parameters; itself where there is nothing to fuse."""
    attention = fused(decoder.attention) if hasattr(decoder, "attention") else None
    return (
        decoder if attention is None or attention is decoder.attention else _with_part(decoder, "attention", attention)
    )


def multi_head_context(attention: MultiHead, query: Tensor, memory: Memory, *, causal: bool = False) -> Tensor:
    """The context of multi-head attention [batch, rows, query_dim], by an operation that does not keep the weights.

    With ``causal`` row t sees the positions 0 … t only; the memory then has no mask.
    """
    assert memory.mask is None or not causal, "padding behind a row's end is never seen by the row"
    context = nn.functional.scaled_dot_product_attention(
        attention.split(attention.W_q(query)),
        memory.keys,
        memory.values,
        attn_mask=None if memory.mask is None else memory.mask[:, None, None, :],
        dropout_p=attention.dropout.p if attention.training else 0.0,
        is_causal=causal,
    )
    return attention.join(context)


class _FusedScore(Score):
    """An additive score whose tanh is computed in blocks and again in the backward pass."""

    def __init__(self, score: Additive | Concat) -> None:
        super().__init__()
        self.inner, self.key_dim = score, score.key_dim

    def keys(self, values: Tensor) -> Tensor:
        return project_keys(self.inner, values)

    def query(self, query: Tensor) -> Tensor:
        return self.inner.query(query)

    def compare(self, query: Tensor, keys: Tensor) -> Tensor:
        return additive_scores(query, keys, self.inner.v)


class TritonAttention(Attention):
    """Soft attention with an additive score in one kernel on a GPU."""

    def __init__(self, score: Additive | Concat) -> None:
        nn.Module.__init__(self)
        self.score: Score = _FusedScore(score)
        self._v = score.v

    def forward(self, query: Tensor, memory: Memory, steps: Tensor | None = None) -> Attended:
        if not 0 < memory.keys.shape[1] <= TRITON_POSITIONS:
            return super().forward(query, memory, steps)
        from regard.ops.triton_additive import additive_attention

        found = additive_attention(self.score.query(query), memory.keys, self._v, memory.values, memory.mask)
        return Attended(*found)


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def _with_part(module: Module, name: str, part: nn.Module) -> Module:
    """A shallow copy of a module with another submodule; parameters and the other submodules are shared."""
    twin = copy(module)
    twin.__dict__["_modules"] = {**module._modules, name: part}
    return twin
