"""``transformer``: the encoder of Vaswani et al. 2017, §3, with normalisation before each part.

    x_0 = √dim · E tokens + positions
    x   = x + MultiHead(n, n, n),  n = LayerNorm(x)        §3.2
    x   = x + W_2 relu(W_1 LayerNorm(x))                   §3.3
    annotations = LayerNorm(x_layers)

Differences: the paper normalises behind each part; before it, deep stacks train without a warm-up (Xiong et al. 2020).
The attention is the one of every other model, :class:`regard.attention.MultiHead`. There is no summary.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.attention import MultiHead
from regard.config import PartSettings
from regard.encoders.text import TextEncoder
from regard.errors import TextError


class TransformerSizes(PartSettings):
    """What the settings of the encoder and of the decoder have in common."""

    dim: int = Field(256, ge=1, le=8192)
    layers: int = Field(3, ge=1, le=64)
    heads: int = Field(4, ge=1, le=128)
    feed_forward: int = Field(1024, ge=1, le=32_768)
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    max_positions: int = Field(512, ge=1, le=16_384)
    """How many positions are learned; sinusoids have no end."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """On the embeddings, inside the feed-forward network and on what each part adds."""
    attention_dropout: float = Field(0.0, ge=0, lt=1)
    """On the weights inside the products."""

    def check_length(self, length: int) -> None:
        """Refuse a text of more tokens than there are learned positions.

        Raises:
            TextError: it is too long.
        """
        if self.positions == "learned" and length > self.max_positions:
            raise TextError(
                f"a text of {length} tokens is too long for this model",
                allowed=f"{self.max_positions} tokens",
                remedy="shorten it, or train with a larger max_positions or with positions: sinusoidal",
            )


class TransformerEncoderSettings(TransformerSizes):
    """Settings of the ``transformer`` encoder."""

    name: Literal["transformer"] = "transformer"


class Positions(nn.Module):
    """√dim · E tokens + positions (§3.4 and §3.5), with dropout, for embeddings that are given."""

    def __init__(self, settings: TransformerSizes) -> None:
        super().__init__()
        self.sizes, self.dim = settings, settings.dim
        self.places = nn.Embedding(settings.max_positions, settings.dim) if settings.positions == "learned" else None
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, embedded: Tensor, *, first: int = 0) -> Tensor:
        """[..., position, dim] to the same, the first of which stands at position ``first``.

        Raises:
            TextError: more tokens than there are learned positions.
        """
        end = first + embedded.shape[-2]
        self.sizes.check_length(end)
        positions = torch.arange(first, end, device=embedded.device)
        offsets = sinusoids(positions, self.dim).to(embedded.dtype) if self.places is None else self.places(positions)
        placed: Tensor = self.dropout(math.sqrt(self.dim) * embedded + offsets)
        return placed


def sinusoids(positions: Tensor, dim: int) -> Tensor:
    """sin(p / 10000^(2i/dim)) at 2i and the cosine at 2i + 1, float32 [position, dim] (Vaswani 2017 §3.5)."""
    rates = torch.exp(torch.arange(0, dim, 2, device=positions.device) * (-math.log(10_000) / dim))
    angles = positions.unsqueeze(-1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)[..., :dim]


class FeedForward(nn.Sequential):
    """W_2 relu(W_1 x) with biases (Vaswani 2017 §3.3)."""

    def __init__(self, settings: TransformerSizes) -> None:
        first, second = nn.Linear(settings.dim, settings.feed_forward), nn.Linear(settings.feed_forward, settings.dim)
        for layer in (first, second):
            nn.init.xavier_uniform_(layer.weight)
        super().__init__(first, nn.ReLU(), nn.Dropout(settings.dropout), second)


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward network, each added to what came in."""

    def __init__(self, settings: TransformerSizes) -> None:
        super().__init__()
        dim = settings.dim
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = MultiHead(dim, dim, heads=settings.heads, dropout=settings.attention_dropout)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.feed_forward = FeedForward(settings)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """[batch, position, dim] to the same."""
        normal = self.attention_norm(x)
        memory = self.attention.remember(Annotations(normal, mask))
        x = x + self.dropout(self.attention(normal, memory).context)
        outputs: Tensor = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return outputs


class TransformerEncoder(TextEncoder):
    """Every token sees every other.

    Args:
        settings: sizes and options.
        vocabulary_size: number of source tokens.

    Raises:
        ConfigError: ``heads`` does not divide ``dim``.
    """

    settings_class = TransformerEncoderSettings

    def __init__(self, settings: TransformerEncoderSettings, *, vocabulary_size: int) -> None:
        super().__init__()
        self.settings = settings
        self.dim = settings.dim
        self.E = nn.Embedding(vocabulary_size, settings.dim)
        nn.init.normal_(self.E.weight, std=settings.dim**-0.5)
        self.positions = Positions(settings)
        self.layers = nn.ModuleList(EncoderLayer(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(settings.dim)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Annotations:
        x = self.positions(self.E(tokens))
        for layer in self.layers:
            x = layer(x, mask)
        values = self.norm(x)
        return Annotations(values if mask is None else values.masked_fill(~mask.unsqueeze(-1), 0.0), mask)
