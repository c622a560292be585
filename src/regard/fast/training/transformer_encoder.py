"""The Transformer encoder without attention weights (see :mod:`regard.encoders.transformer` for the formulas)."""

from __future__ import annotations

from torch import Tensor

from regard.annotations import Annotations
from regard.encoders.transformer import EncoderLayer, TransformerEncoder
from regard.fast.attention import multi_head_context
from regard.ops.linear import InferencePrecision


def twin(encoder: TransformerEncoder) -> TransformerEncoderPass:
    """The pass with fused attention."""
    return TransformerEncoderPass(encoder)


def inference_twin(encoder: TransformerEncoder, precision: InferencePrecision) -> TransformerEncoderPass:
    """The same for inference, in float32 whatever the decoder computes in."""
    return TransformerEncoderPass(encoder)


class TransformerEncoderPass:
    """Self-attention by an operation that does not keep the weights; for training and inference alike."""

    def __init__(self, encoder: TransformerEncoder) -> None:
        self.encoder = encoder

    def __call__(self, tokens: Tensor, mask: Tensor | None = None) -> Annotations:
        """See :meth:`regard.encoders.text.TextEncoder.forward`."""
        x = self.encoder.positions(self.encoder.E(tokens))
        for layer in self.encoder.layers:
            assert isinstance(layer, EncoderLayer), "the list holds layers"
            normal = layer.attention_norm(x)
            memory = layer.attention.remember(Annotations(normal, mask))
            x = x + layer.dropout(multi_head_context(layer.attention, normal, memory))
            x = x + layer.dropout(layer.feed_forward(layer.feed_forward_norm(x)))
        values = self.encoder.norm(x)
        return Annotations(values if mask is None else values.masked_fill(~mask.unsqueeze(-1), 0.0), mask)
