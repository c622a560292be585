"""``transformer`` over whole targets at once (see :mod:`regard.decoders.transformer` for the formulas).

Causal self-attention reads all tokens in one operation; only the layer whose weights are returned computes any.
"""

from __future__ import annotations

from torch import Tensor

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.base import TeacherForcing, Trace
from regard.decoders.transformer import DecoderLayer, TransformerDecoder
from regard.fast.attention import multi_head_context


def twin(decoder: TransformerDecoder) -> TeacherForcing | None:
    """The pass over all tokens at once."""
    return TransformerPass(decoder)


class TransformerPass:
    """All tokens of all rows in each layer."""

    def __init__(self, decoder: TransformerDecoder) -> None:
        self.decoder = decoder

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        """See :meth:`regard.decoders.base.Decoder.trace`."""
        batch, rows, time = tokens.shape
        decoder = self.decoder
        look = decoder.settings.look % decoder.settings.layers
        x, weights = decoder.positions(decoder.E(tokens)).flatten(0, 1), None
        for i, (layer, memory) in enumerate(decoder.with_memories(decoder.remember(annotations))):
            x = _self_attention(layer, x).view(batch, rows * time, -1)
            x, found = _cross_attention(layer, x, memory, returns_weights=i == look)
            x, weights = x.view(batch * rows, time, -1), weights if found is None else found
        assert weights is not None, "one layer returns its weights"
        return Trace(decoder.norm(x).view(batch, rows, time, -1), weights.view(batch, rows, time, -1))


def _self_attention(layer: DecoderLayer, x: Tensor) -> Tensor:
    """x [sequence, time, dim] plus what each token takes from itself and the tokens before it."""
    normal = layer.self_attention_norm(x)
    memory = layer.self_attention.remember(Annotations(normal))
    outputs: Tensor = x + layer.dropout(multi_head_context(layer.self_attention, normal, memory, causal=True))
    return outputs


def _cross_attention(
    layer: DecoderLayer, x: Tensor, memory: Memory, *, returns_weights: bool
) -> tuple[Tensor, Tensor | None]:
    """x [batch, rows, dim] plus what each row takes from the annotations and the feed-forward network; the weights."""
    normal, weights = layer.attention_norm(x), None
    if returns_weights:
        attended = layer.attention(normal, memory)
        context, weights = attended.context, attended.weights
    else:
        context = multi_head_context(layer.attention, normal, memory)
    x = x + layer.dropout(context)
    outputs: Tensor = x + layer.dropout(layer.feed_forward(layer.feed_forward_norm(x)))
    return outputs, weights
