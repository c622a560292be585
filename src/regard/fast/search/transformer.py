"""``transformer`` in search (see :mod:`regard.decoders.transformer` for the formulas).

Layers whose weights are not returned attend by an operation that does not keep them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.base import State, Step, Stepper
from regard.decoders.transformer import DecoderLayer, TransformerDecoder
from regard.fast.attention import multi_head_context
from regard.ops.linear import InferencePrecision


def twin(decoder: TransformerDecoder, precision: InferencePrecision) -> Stepper | None:
    """The incremental decoder, in float32 only."""
    return IncrementalTransformer(decoder) if precision == "float32" else None


class IncrementalTransformer:
    """One token of every hypothesis, with the keys and values of the tokens before it cached."""

    def __init__(self, decoder: TransformerDecoder) -> None:
        self.decoder, self.vocabulary_size = decoder, decoder.vocabulary_size

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        """See :meth:`Decoder.start`."""
        return self.decoder.start(annotations, rows=rows)

    def step(self, state: State, tokens: Tensor) -> Step:
        """See :meth:`Decoder.step`."""
        decoder, returned = self.decoder, self.decoder.settings.look % self.decoder.settings.layers
        x = decoder.positions(decoder.E(tokens.unsqueeze(-1)), first=state.length).squeeze(2)
        cache: dict[str, Tensor] = {}
        weights: Tensor | None = None
        for i, (layer, memory) in enumerate(decoder.with_memories(state.memory)):
            past = Memory(state.rows[f"values{i}"].flatten(0, 1), state.rows[f"keys{i}"].flatten(0, 1))
            x, past = _self_attention(layer, x, past)
            cache[f"keys{i}"] = past.keys.view(*tokens.shape, *past.keys.shape[1:])
            cache[f"values{i}"] = past.values.view(*tokens.shape, *past.values.shape[1:])
            normal = layer.attention_norm(x)
            if i == returned:
                attended = layer.attention(normal, memory)
                context, weights = attended.context, attended.weights
            else:
                context = multi_head_context(layer.attention, normal, memory)
            x = x + context
            x = x + layer.feed_forward(layer.feed_forward_norm(x))
        assert weights is not None, "one layer returns its weights"
        return Step(decoder.norm(x), State(state.memory, cache, state.length + 1), weights, decoder.logits)


def _self_attention(layer: DecoderLayer, x: Tensor, past: Memory) -> tuple[Tensor, Memory]:
    """x [batch, rows, dim] plus what each token takes from itself and the tokens before it; and the longer cache."""
    normal = layer.self_attention_norm(x).flatten(0, 1).unsqueeze(1)
    new = layer.self_attention.remember(Annotations(normal))
    past = Memory(torch.cat([past.values, new.values], dim=2), torch.cat([past.keys, new.keys], dim=2))
    return x + multi_head_context(layer.self_attention, normal, past).view_as(x), past
