"""``transformer``: the decoder of Vaswani et al. 2017, §3, with normalisation before each part.

    x_0 = √dim · E y + positions
    x   = x + MultiHead(n, n, n) over the words so far,  n = LayerNorm(x)
    x   = x + MultiHead(LayerNorm(x), a, a) over the annotations a
    x   = x + W_2 relu(W_1 LayerNorm(x))
    p   = softmax(W_o LayerNorm(x_layers))

Its weights are those of one layer's attention to the annotations (the last unless ``look`` names another), the mean
over heads. Keys and values of the words so far are cached in the state and grow by one position a word.
Positions are added to words alone: annotations are taken as the encoder gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.attention import Attended, Memory, MultiHead
from regard.decoders.base import Decoder, State, Step
from regard.encoders.transformer import FeedForward, Positions, TransformerSizes
from regard.errors import ConfigError

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class TransformerDecoderSettings(TransformerSizes):
    """Settings of the ``transformer`` decoder."""

    name: Literal["transformer"] = "transformer"
    tied: bool = True
    """W_o shares its matrix with E."""
    look: int = Field(-1, ge=-64, le=63)
    """The layer whose weights are returned, counted from 0, or from the end when negative."""


@dataclass(frozen=True, kw_only=True)
class TransformerMemory(Memory):
    """One memory per layer, each with its own keys and values; those of the whole are the annotations themselves."""

    layers: tuple[Memory, ...]


class DecoderLayer(nn.Module):
    """Self-attention, attention and a feed-forward network, each added to what came in.

    Args:
        settings: sizes and options.
        dim: size of one annotation.
    """

    def __init__(self, settings: TransformerDecoderSettings, *, dim: int) -> None:
        super().__init__()
        model_dim, heads, dropout = settings.dim, settings.heads, settings.attention_dropout
        self.self_attention_norm = nn.LayerNorm(model_dim)
        self.self_attention = MultiHead(model_dim, model_dim, heads=heads, dropout=dropout)
        self.attention_norm = nn.LayerNorm(model_dim)
        self.attention = MultiHead(model_dim, dim, heads=heads, dropout=dropout)
        self.feed_forward_norm = nn.LayerNorm(model_dim)
        self.feed_forward = FeedForward(settings)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(
        self, x: Float[Tensor, "batch rows dim"], past: Memory, memory: Memory
    ) -> tuple[Float[Tensor, "batch rows dim"], Memory, Float[Tensor, "batch rows position"]]:
        """One token of each row.

        Args:
            x: [batch, rows, dim].
            past: keys and values of the tokens before, [batch × rows, heads, time, head_dim].
            memory: the annotations, projected for this layer.

        Returns:
            x of the next layer, ``past`` with this token in it, and the attention weights [batch, rows, position].
        """
        normal = self.self_attention_norm(x).flatten(0, 1).unsqueeze(1)
        new = self.self_attention.remember(Annotations(normal))
        past = Memory(torch.cat([past.values, new.values], dim=2), torch.cat([past.keys, new.keys], dim=2))
        x = x + self.dropout(self.self_attention(normal, past).context.view_as(x))
        attended: Attended = self.attention(self.attention_norm(x), memory)
        x = x + self.dropout(attended.context)
        x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return x, past, attended.weights


class TransformerDecoder(Decoder):
    """Every word sees the words before it and all annotations, in every layer.

    Args:
        settings: sizes and options.
        dim: size of one annotation; need not be that of the decoder.
        vocabulary_size: number of tokens.

    Raises:
        ConfigError: ``heads`` does not divide ``dim``, or there is no layer ``look``.
    """

    settings_class = TransformerDecoderSettings

    def __init__(self, settings: TransformerDecoderSettings, *, dim: int, vocabulary_size: int) -> None:
        super().__init__()
        if not -settings.layers <= settings.look < settings.layers:
            raise ConfigError(
                f"layer {settings.look} of a decoder of {settings.layers} layers",
                allowed=f"look from {-settings.layers} to {settings.layers - 1}",
            )
        self.settings = settings
        self.vocabulary_size = vocabulary_size
        self.E = nn.Embedding(vocabulary_size, settings.dim)
        nn.init.normal_(self.E.weight, std=settings.dim**-0.5)
        self.positions = Positions(settings)
        self.layers = nn.ModuleList(DecoderLayer(settings, dim=dim) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(settings.dim)
        self.W_o = nn.Linear(settings.dim, vocabulary_size, bias=False)
        if settings.tied:
            self.W_o.weight = self.E.weight

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        settings = self.settings
        values = annotations.values
        nothing = values.new_zeros(values.shape[0], rows, settings.heads, 0, settings.dim // settings.heads)
        names = [f"{part}{i}" for i in range(settings.layers) for part in ("keys", "values")]
        return State(self.remember(annotations), dict.fromkeys(names, nothing))

    def step(self, state: State, tokens: Int[Tensor, "batch rows"]) -> Step:
        x = self.positions(self.E(tokens.unsqueeze(-1)), first=state.length).squeeze(2)
        cache: dict[str, Tensor] = {}
        all_weights: list[Tensor] = []
        for i, (layer, memory) in enumerate(self.with_memories(state.memory)):
            past = Memory(state.rows[f"values{i}"].flatten(0, 1), state.rows[f"keys{i}"].flatten(0, 1))
            x, past, weights = layer(x, past, memory)
            cache[f"keys{i}"] = past.keys.view(*tokens.shape, *past.keys.shape[1:])
            cache[f"values{i}"] = past.values.view(*tokens.shape, *past.values.shape[1:])
            all_weights.append(weights)
        following = State(state.memory, cache, state.length + 1)
        return Step(self.norm(x), following, all_weights[self.settings.look], self.logits)

    def logits(self, readouts: Float[Tensor, "*shape readout_dim"]) -> Float[Tensor, "*shape vocabulary"]:
        logits: Tensor = self.W_o(readouts)
        return logits

    def vocabulary_layer(self) -> tuple[Tensor, Tensor | None]:
        return self.W_o.weight, self.W_o.bias

    def remember(self, annotations: Annotations) -> TransformerMemory:
        """Keys and values of the annotations, projected for every layer."""
        values = annotations.values
        layers = tuple(layer.attention.remember(annotations) for layer in self.decoder_layers())
        return TransformerMemory(values, values, annotations.mask, layers=layers)

    def with_memories(self, memory: Memory) -> list[tuple[DecoderLayer, Memory]]:
        """Each layer with its own memory."""
        assert isinstance(memory, TransformerMemory), "a state of this decoder's own start"
        return list(zip(self.decoder_layers(), memory.layers, strict=True))

    def decoder_layers(self) -> list[DecoderLayer]:
        """The layers, from the embeddings up."""
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]
