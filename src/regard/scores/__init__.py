"""Scores of attention, by name: how a query is compared with a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from regard.config import OneOf
from regard.registry import Registry
from regard.scores.base import Score

SCORES: Registry[Callable[..., Score]] = Registry(
    "score",
    {
        "dot": "regard.scores.dot:Dot",
        "scaled_dot": "regard.scores.dot:ScaledDot",
        "general": "regard.scores.general:General",
        "concat": "regard.scores.additive:Concat",
        "additive": "regard.scores.additive:Additive",
    },
)
"""The class of every score by its name."""

ScoreName = Annotated[str, OneOf(SCORES)]
"""The name of a score, as settings hold it."""


def build_score(name: str, query_dim: int, dim: int, *, attention_dim: int) -> Score:
    """The score called ``name`` for queries of ``query_dim`` and annotations of ``dim`` numbers.

    Raises:
        ConfigError: there is no such score, or it cannot compare these sizes.
    """
    return SCORES[name](query_dim, dim, attention_dim=attention_dim)


__all__ = ["SCORES", "Score", "ScoreName", "build_score"]
