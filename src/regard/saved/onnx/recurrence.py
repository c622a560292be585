"""The recurrent encoder in ONNX's own recurrent operators, which take the length of each sentence.

PyTorch packs sentences, which its exporter cannot follow, and would write out one step after the other for a length
that is fixed. ONNX's GRU and LSTM read any length, and begin their backward half at each sentence's own last token:
https://onnx.ai/onnx/operators/onnx__GRU.html and onnx__LSTM.html.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.encoders.recurrent import RecurrentEncoder

_ORDERS = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}
"""Where ONNX's gates, z r h and i o f c, stand among PyTorch's, r z n and i f g o."""
_VERSION = 14


class OnnxRecurrence(nn.Module):
    """Means what the encoder means, but only inside a graph: outside of one PyTorch gives zeros for ONNX's operators.

    Args:
        encoder: its embeddings and weights are used.
    """

    def __init__(self, encoder: RecurrentEncoder) -> None:
        super().__init__()
        self.E = encoder.E
        self.settings = encoder.settings
        self.directions = 2 if self.settings.bidirectional else 1
        self.weights = nn.ModuleList(self._layer(encoder.network, layer) for layer in range(self.settings.layers))

    def forward(self, tokens: Tensor, mask: Tensor) -> Annotations:
        """Annotations with a summary, of tokens int64 [batch, position] and their mask."""
        lengths = mask.sum(dim=1).to(torch.int32)
        x = self.E(tokens).transpose(0, 1)
        last = x
        for layer in self.weights:
            x, last = self._read(x, lengths, layer)
        return Annotations(x.transpose(0, 1), mask, last.transpose(0, 1).flatten(1))

    def _read(self, x: Tensor, lengths: Tensor, weights: nn.Module) -> tuple[Tensor, Tensor]:
        """One layer: [position, batch, dim] to the same, and the last states [direction, batch, hidden]."""
        hidden, (positions, batch) = self.settings.hidden, x.shape[:2]
        attributes: dict[str, Any] = {
            "hidden_size": hidden,
            "direction": "bidirectional" if self.directions == 2 else "forward",
        }
        shapes = [[positions, self.directions, batch, hidden], [self.directions, batch, hidden]]
        if self.settings.cell == "gru":
            attributes["linear_before_reset"] = 1
        else:
            shapes.append(shapes[-1])
        outputs = torch.onnx.ops.symbolic_multi_out(
            self.settings.cell.upper(),
            [x, *(weights.get_buffer(name) for name in ("W", "R", "B")), lengths],
            attrs=attributes,
            dtypes=[x.dtype] * len(shapes),
            shapes=shapes,
            version=_VERSION,
        )
        return outputs[0].transpose(1, 2).flatten(2), outputs[1]

    def _layer(self, network: nn.RNNBase, layer: int) -> nn.Module:
        """W [direction, gates × hidden, dim], R [direction, gates × hidden, hidden] and B [direction, both biases]."""
        suffixes = [f"l{layer}", f"l{layer}_reverse"][: self.directions]
        parts: dict[str, list[Tensor]] = {"W": [], "R": [], "B": []}
        for suffix in suffixes:
            W, R, input_bias, state_bias = (  # noqa: N806 (the operator's names)
                self._reordered(network.get_parameter(f"{kind}_{suffix}"))
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            for name, tensor in (("W", W), ("R", R), ("B", torch.cat([input_bias, state_bias]))):
                parts[name].append(tensor)
        holder = nn.Module()
        for name, tensors in parts.items():
            holder.register_buffer(name, torch.stack(tensors))
        return holder

    def _reordered(self, parameter: Tensor) -> Tensor:
        gates = torch.split(parameter.detach(), self.settings.hidden)
        return torch.cat([gates[i] for i in _ORDERS[self.settings.cell]])
