"""Attention, once for pictures and sentences: compare a query with keys, softmax the scores, sum the values.

    e_i = score(query, key_i)        α = softmax(e)        context = Σ_i α_i value_i

The query is a decoder's state; keys and values are an encoder's annotations. Keys are projected once per input by
:meth:`Attention.remember`, never once per word. Queries come as [batch, rows, dim]: the rows are the captions of one
image in training and the hypotheses of one input in search, so that all rows share one copy of the annotations.

Sources: Bahdanau et al. 2015 (additive), Luong et al. 2015 §3.1–3.2 (dot, general, concat; local), Vaswani et al. 2017
§3.2 (scaled dot, multi-head), Xu et al. 2015 §4 (soft and hard).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.errors import ConfigError
from regard.scores import build_score

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Memory:
    """Annotations projected for attention: everything that does not depend on the step.

    Attributes:
        values: float [batch, position, dim]; of several heads, projected, [batch, heads, position, head_dim].
        keys: float [batch, position, key_dim], already projected; of several heads [batch, heads, position, head_dim].
        mask: bool [batch, position], True on real positions, or None when all are real.

    A decoder that keeps more per input subclasses this; its tensors and memories are selected with the rest.
    """

    values: Float[Tensor, "batch *position dim"]
    keys: Float[Tensor, "batch *position key_dim"]
    mask: Bool[Tensor, "batch positions"] | None = None

    def select(self, index: Tensor) -> Self:
        """The inputs at ``index`` (int64 [selected]), in that order."""
        return self._changed(lambda tensor: tensor.index_select(0, index))

    def first(self, count: int) -> Self:
        """The first ``count`` inputs, as views."""
        return self if count == len(self.values) else self._changed(lambda tensor: tensor[:count])

    def _changed(self, change: Callable[[Tensor], Tensor]) -> Self:
        return replace(self, **{field.name: _change(getattr(self, field.name), change) for field in fields(self)})


def _change(part: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A tensor, a memory or a tuple of these with every tensor in it changed; other fields stay."""
    if isinstance(part, Tensor):
        return change(part)
    if isinstance(part, Memory):
        return part._changed(change)
    return tuple(_change(each, change) for each in part) if isinstance(part, tuple) else part


@dataclass(frozen=True)
class Attended:
    """The result of attention.

    Attributes:
        context: [batch, rows, dim], the weighted sum of the values (soft) or the chosen value (hard).
        weights: [batch, rows, position]; sum to 1 over real positions, exactly 0 on masked ones.
        log_choice: [batch, rows], log-probability of the region that hard attention sampled; None when nothing was
            sampled.
    """

    context: Float[Tensor, "batch rows dim"]
    weights: Float[Tensor, "batch rows position"]
    log_choice: Float[Tensor, "batch rows"] | None = None


def masked_softmax(
    scores: Float[Tensor, "batch rows position"], mask: Tensor | None
) -> Float[Tensor, "batch rows position"]:
    """Softmax over the last dimension; masked positions get exactly 0.

    Args:
        scores: [batch, rows, position].
        mask: bool [batch, position], or [batch, rows, position] where rows see different positions, or None; every
            row has at least one real position.
    """
    if mask is not None:
        scores = scores.masked_fill(~(mask.unsqueeze(1) if mask.dim() == 2 else mask), float("-inf"))
    return torch.softmax(scores, dim=-1)


class Attention(nn.Module):
    """Soft attention: the context is the expectation of the values under the weights (Xu 2015 §4.2, eq. 8)."""

    def __init__(self, query_dim: int, dim: int, *, score: str = "additive", attention_dim: int = 512) -> None:
        super().__init__()
        self.score = build_score(score, query_dim, dim, attention_dim=attention_dim)

    def remember(self, annotations: Annotations) -> Memory:
        """Project the keys of a batch of inputs, once."""
        return Memory(annotations.values, self.score.keys(annotations.values), annotations.mask)

    def weights(
        self, query: Float[Tensor, "batch rows query_dim"], memory: Memory, steps: Tensor | None = None
    ) -> Float[Tensor, "batch rows position"]:
        """α, [batch, rows, position], of queries [batch, rows, query_dim].

        ``steps`` (int64 [rows], the number of each row's step, from 0) is for attention that moves with the step.
        """
        return masked_softmax(self.score(query, memory.keys), memory.mask)

    def forward(
        self, query: Float[Tensor, "batch rows query_dim"], memory: Memory, steps: Tensor | None = None
    ) -> Attended:
        """Context and weights of queries [batch, rows, query_dim]; ``steps`` as in :meth:`weights`."""
        weights = self.weights(query, memory, steps)
        return Attended(weights @ memory.values, weights)


class HardAttention(Attention):
    """Hard attention: one region is chosen (Xu 2015 §4.1).

    In training the region is sampled, i ~ Categorical(α), and its log-probability is returned for REINFORCE; with
    probability ½ a row takes the expectation instead, as the paper does to lower the variance. In evaluation the most
    probable region is taken, so that decoding is deterministic. ``weights`` are α in both cases.
    """

    def forward(
        self, query: Float[Tensor, "batch rows query_dim"], memory: Memory, steps: Tensor | None = None
    ) -> Attended:
        weights = self.weights(query, memory, steps)
        if not self.training:
            return Attended(_gather_rows(memory.values, weights.argmax(dim=-1)), weights)
        chosen = torch.multinomial(weights.flatten(0, 1), 1).view(weights.shape[:2])
        log_choice = weights.gather(-1, chosen.unsqueeze(-1)).squeeze(-1).clamp_min(1e-20).log()
        sampled = torch.rand(weights.shape[:2], device=weights.device) < 0.5
        context = torch.where(sampled.unsqueeze(-1), _gather_rows(memory.values, chosen), weights @ memory.values)
        return Attended(context, weights, torch.where(sampled, log_choice, torch.zeros_like(log_choice)))


def _gather_rows(values: Tensor, chosen: Tensor) -> Tensor:
    """The chosen positions [batch, rows] of values [batch, position, dim], as [batch, rows, dim]."""
    return values.gather(1, chosen.unsqueeze(-1).expand(-1, -1, values.shape[-1]))


class LocalAttention(Attention):
    """Soft attention through a window of ±D around one position p_t of the input (Luong 2015 §3.2).

        local-m   p_t = t
        local-p   p_t = S · σ(v_pᵀ tanh(W_p h_t))                                   eq. 9
        α_t(s) = softmax of the scores over |s − p_t| ≤ D, 0 elsewhere
                 and in local-p times exp(−(s − p_t)² / 2σ²), σ = D/2               eq. 10

    Positions and steps count from 0, S is the number of real positions of each input, and the positions of a picture
    are its regions row by row. Differences: p_t = t stops at the last real position, so that a translation may be
    longer than its source; and the weights of local-p are brought back to a sum of 1, which is the same as adding the
    exponent to the scores. ``normalise=False`` leaves them as the paper has them.
    """

    def __init__(
        self,
        query_dim: int,
        dim: int,
        *,
        window: int,
        predictive: bool,
        normalise: bool = True,
        score: str = "additive",
        attention_dim: int = 512,
    ) -> None:
        super().__init__(query_dim, dim, score=score, attention_dim=attention_dim)
        self.window = window
        self.normalise = normalise
        self.W_p = nn.Linear(query_dim, query_dim, bias=False) if predictive else None
        self.v_p = nn.Linear(query_dim, 1, bias=False) if predictive else None

    def centres(
        self, query: Float[Tensor, "batch rows query_dim"], memory: Memory, steps: Tensor | None
    ) -> Float[Tensor, "batch rows"]:
        """p_t, float [batch, rows], of queries [batch, rows, query_dim]."""
        batch, positions = memory.values.shape[:2]
        sizes = query.new_full((batch,), positions) if memory.mask is None else memory.mask.sum(dim=1).to(query.dtype)
        if self.W_p is not None and self.v_p is not None:
            return sizes.unsqueeze(1) * torch.sigmoid(self.v_p(torch.tanh(self.W_p(query))).squeeze(-1))
        assert steps is not None, "monotonic attention needs the number of each row's step"
        return torch.minimum(steps.to(query.dtype).unsqueeze(0), sizes.unsqueeze(1) - 1)

    def weights(
        self, query: Float[Tensor, "batch rows query_dim"], memory: Memory, steps: Tensor | None = None
    ) -> Float[Tensor, "batch rows position"]:
        scores = self.score(query, memory.keys)
        positions = torch.arange(scores.shape[-1], device=scores.device)
        distance = positions - self.centres(query, memory, steps).unsqueeze(-1)
        in_window = distance.abs() <= self.window
        if memory.mask is not None:
            in_window = in_window & memory.mask.unsqueeze(1)
        if self.W_p is None:
            return masked_softmax(scores, in_window)
        exponent = -2 * (distance / self.window) ** 2  # 2σ² = D²/2
        if self.normalise:
            return masked_softmax(scores + exponent, in_window)
        return masked_softmax(scores, in_window) * torch.exp(exponent)


class MultiHead(Attention):
    """Several scaled-dot attentions side by side, each on its own share of the dimensions (Vaswani 2017 §3.2.2).

        head_i = softmax((W_q q)_i (W_k k)_iᵀ / √d_head) (W_v v)_i        context = W_o [head_1; …; head_n]

    The weights that it returns are the mean over heads. In training, ``dropout`` acts on the weights of each head
    inside the product, not on those returned.
    """

    def __init__(self, query_dim: int, dim: int, *, heads: int, dropout: float = 0.0) -> None:
        if query_dim % heads:
            raise ConfigError(f"{heads} heads cannot share {query_dim} dimensions", allowed="a size that they divide")
        super().__init__(query_dim // heads, query_dim // heads, score="scaled_dot")
        self.heads = heads
        self.W_q = nn.Linear(query_dim, query_dim)
        self.W_k = nn.Linear(dim, query_dim, bias=False)  # a bias would add the same number to every score of a query
        self.W_v = nn.Linear(dim, query_dim)
        self.W_o = nn.Linear(query_dim, query_dim)
        for layer in (self.W_q, self.W_k, self.W_v, self.W_o):
            nn.init.xavier_uniform_(layer.weight)
        self.dropout = nn.Dropout(dropout)

    def remember(self, annotations: Annotations) -> Memory:
        values = annotations.values
        return Memory(self.split(self.W_v(values)), self.split(self.W_k(values)), annotations.mask)

    def weights(
        self, query: Float[Tensor, "batch rows query_dim"], memory: Memory, steps: Tensor | None = None
    ) -> Float[Tensor, "batch rows position"]:
        return self._head_weights(query, memory).mean(dim=1)

    def forward(
        self, query: Float[Tensor, "batch rows query_dim"], memory: Memory, steps: Tensor | None = None
    ) -> Attended:
        weights = self._head_weights(query, memory)
        return Attended(self.join(self.dropout(weights) @ memory.values), weights.mean(dim=1))

    def _head_weights(self, query: Tensor, memory: Memory) -> Tensor:
        """[batch, heads, rows, position]."""
        batch, rows = query.shape[:2]
        scores = self.score(self.split(self.W_q(query)).flatten(0, 1), memory.keys.flatten(0, 1))
        # the heads of an input share its mask, so they stand beside each other like rows
        weights = masked_softmax(scores.view(batch, self.heads * rows, -1), memory.mask)
        return weights.view(batch, self.heads, rows, -1)

    def split(self, joined: Float[Tensor, "batch rows query_dim"]) -> Float[Tensor, "batch heads rows head_dim"]:
        """[batch, rows, query_dim] to [batch, heads, rows, head_dim], laid out for the products."""
        return joined.view(*joined.shape[:2], self.heads, -1).transpose(1, 2).contiguous()

    def join(self, contexts: Float[Tensor, "batch heads rows head_dim"]) -> Float[Tensor, "batch rows query_dim"]:
        """[batch, heads, rows, head_dim] to the context [batch, rows, query_dim]."""
        context: Tensor = self.W_o(contexts.transpose(1, 2).flatten(2))
        return context
