"""Sampling from a distribution by its cumulative sum: one uniform number a sample, nothing random per token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_NEVER = float("-inf")


def sample_index(scores: Float[Tensor, "*shape vocabulary"], uniform: Float[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """Sample one index a row from softmax(scores).

    Args:
        scores: [..., vocabulary], -inf where impossible; a row with nothing possible gives an impossible index.
        uniform: [...], in [0, 1).

    Returns:
        int64 [...], i with P(i) = softmax(scores)_i; never an impossible one.
    """
    cumulative = torch.softmax(scores, dim=-1).nan_to_num_(0).cumsum(dim=-1)
    total = cumulative[..., -1]
    # u · total can round up to total, behind the last possible index
    target = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    index = torch.searchsorted(cumulative, target.unsqueeze(-1), right=True).squeeze(-1)
    return index.clamp_max_(scores.shape[-1] - 1)


def filter_top(
    scores: Float[Tensor, "*shape vocabulary"], *, top_k: int | None, top_p: float | None
) -> Float[Tensor, "*shape vocabulary"]:
    """Scores with -inf outside the ``top_k`` best and outside the nucleus of probability ``top_p``.

    The nucleus (Holtzman et al. 2020 §3.1) is the smallest set of most probable tokens that reaches ``top_p``, taken
    from what ``top_k`` has left. Of equal scores at the edge, those with the lower index stay.
    """
    if top_k is None and top_p is None:
        return scores
    ordered, index = scores.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        ordered[..., top_k:] = _NEVER
    if top_p is not None:
        probabilities = torch.softmax(ordered, dim=-1)
        before = probabilities.cumsum(dim=-1) - probabilities
        ordered.masked_fill_(before >= top_p, _NEVER)
    return torch.full_like(scores, _NEVER).scatter_(-1, index, ordered)
