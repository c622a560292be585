"""Which parts the fast paths know; compared by exact class, so a subclass is not known."""

from __future__ import annotations

from torch import nn

from regard.attention import Attention
from regard.decoders.cells import GRUCell, LSTMCell
from regard.scores.additive import Additive, Concat
from regard.scores.dot import Dot, ScaledDot
from regard.scores.general import General


def knows_score(score: nn.Module) -> bool:
    """Whether the fast paths compute this score."""
    return type(score) in (Dot, ScaledDot, General, Concat, Additive)


def knows_attention(attention: nn.Module) -> bool:
    """Whether the fast paths compute this attention: soft and global with a score that they know."""
    return type(attention) is Attention and knows_score(attention.score)


def knows_cell(cell: nn.Module) -> bool:
    """Whether the fast paths compute this cell."""
    return type(cell) in (LSTMCell, GRUCell)


def on_cpu(module: nn.Module) -> bool:
    """Whether a module has parameters and they are on the CPU."""
    first = next(module.parameters(), None)
    return first is not None and first.device.type == "cpu"
