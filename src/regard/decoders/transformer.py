"""``transformer``: the decoder of Vaswani et al. 2017, §3, with normalisation before each part.

    x_0 = √dim · E y + positions
    x   = x + MultiHead(n, n, n) over the words so far,  n = LayerNorm(x)
    x   = x + MultiHead(LayerNorm(x), a, a) over the annotations a
    x   = x + W_2 relu(W_1 LayerNorm(x))
    p   = softmax(W_o LayerNorm(x_layers))

Its weights are those of one layer's look at the annotations (the last unless ``look`` names another), the mean over
heads. Step by step, keys and values of the words so far are kept in the state and grow by one position a word.
Positions are added to words alone: annotations are taken as the encoder gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.attention import Memory, MultiHead
from regard.decoders.base import Decoder, State, Step, Trace
from regard.encoders.transformer import FeedForward, Positions, TransformerSizes
from regard.errors import ConfigError


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

    def read_all(self, x: Tensor) -> Tensor:
        """Add what each word takes from itself and the words before it: [sequence, time, dim] to the same."""
        normal = self.self_attention_norm(x)
        memory = self.self_attention.remember(Annotations(normal))
        outputs: Tensor = x + self.dropout(self.self_attention.context(normal, memory, causal=True))
        return outputs

    def read_one(self, x: Tensor, past: Memory) -> tuple[Tensor, Memory]:
        """The same for one more word, [sequence, 1, dim], behind those that ``past`` holds; and ``past`` with it."""
        normal = self.self_attention_norm(x)
        new = self.self_attention.remember(Annotations(normal))
        memory = Memory(torch.cat([past.values, new.values], dim=2), torch.cat([past.keys, new.keys], dim=2))
        return x + self.dropout(self.self_attention.context(normal, memory)), memory

    def look(self, x: Tensor, memory: Memory, *, weights: bool) -> tuple[Tensor, Tensor | None]:
        """Add what each row takes from the annotations, and the feed-forward network.

        Args:
            x: [batch, rows, dim].
            memory: this layer's.
            weights: whether to return the weights, [batch, rows, position], as well.
        """
        normal, found = self.attention_norm(x), None
        if weights:
            look = self.attention(normal, memory)
            context, found = look.context, look.weights
        else:
            context = self.attention.context(normal, memory)
        x = x + self.dropout(context)
        outputs: Tensor = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return outputs, found


class TransformerDecoder(Decoder):
    """Every word sees the words before it and all annotations, in every layer.

    Args:
        settings: sizes and options.
        dim: size of one annotation; need not be that of the decoder.
        vocabulary_size: number of tokens.

    Raises:
        ConfigError: ``heads`` does not divide ``dim``, or there is no layer ``look``.
    """

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
        return State(self._remember(annotations), dict.fromkeys(names, nothing))

    def step(self, state: State, tokens: Tensor) -> Step:
        batch, rows = tokens.shape
        x = self.positions(self.E(tokens.unsqueeze(-1)), first=state.length).view(batch * rows, 1, -1)
        cache: dict[str, Tensor] = {}
        weights = None
        for i, (layer, memory) in enumerate(self._with_memories(state.memory)):
            past = Memory(state.rows[f"values{i}"].flatten(0, 1), state.rows[f"keys{i}"].flatten(0, 1))
            x, past = layer.read_one(x, past)
            cache[f"keys{i}"] = past.keys.view(batch, rows, *past.keys.shape[1:])
            cache[f"values{i}"] = past.values.view(batch, rows, *past.values.shape[1:])
            x, found = layer.look(x.view(batch, rows, -1), memory, weights=self._returns(i))
            x, weights = x.view(batch * rows, 1, -1), weights if found is None else found
        assert weights is not None, "one layer returns its weights"
        logits = self.logits(self.norm(x).view(batch, rows, -1))
        return Step(logits, State(state.memory, cache, state.length + 1), weights)

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        batch, rows, time = tokens.shape
        x = self.positions(self.E(tokens)).flatten(0, 1)
        weights = None
        for i, (layer, memory) in enumerate(self._with_memories(self._remember(annotations))):
            x = layer.read_all(x)
            x, found = layer.look(x.view(batch, rows * time, -1), memory, weights=self._returns(i))
            x, weights = x.view(batch * rows, time, -1), weights if found is None else found
        assert weights is not None, "one layer returns its weights"
        return Trace(self.norm(x).view(batch, rows, time, -1), weights.view(batch, rows, time, -1))

    def logits(self, readouts: Tensor) -> Tensor:
        logits: Tensor = self.W_o(readouts)
        return logits

    def vocabulary_layer(self) -> tuple[Tensor, Tensor | None]:
        return self.W_o.weight, self.W_o.bias

    def _remember(self, annotations: Annotations) -> TransformerMemory:
        values = annotations.values
        layers = tuple(layer.attention.remember(annotations) for layer in self._layers())
        return TransformerMemory(values, values, annotations.mask, layers=layers)

    def _with_memories(self, memory: Memory) -> list[tuple[DecoderLayer, Memory]]:
        assert isinstance(memory, TransformerMemory), "a state of this decoder's own start"
        return list(zip(self._layers(), memory.layers, strict=True))

    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]

    def _returns(self, layer: int) -> bool:
        return layer == self.settings.look % self.settings.layers
