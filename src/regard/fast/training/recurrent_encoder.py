"""The recurrent encoder with gradients, on real tokens only (see :mod:`regard.encoders.recurrent` for the formulas).

With 512 units and more PyTorch's network takes a quarter longer for it on a CPU; with fewer it is as fast.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.encoders.recurrent import RecurrentEncoder
from regard.fast.support import on_cpu
from regard.fast.training.scans import drop
from regard.ops.packing import Packing, pack_targets
from regard.ops.recurrent_scan import scan
from regard.ops.scan_operands import Operands, Scan

LEAST_UNITS = 512


def twin(encoder: RecurrentEncoder) -> RecurrentEncoderScan | None:
    """The fused pass of a network of :data:`LEAST_UNITS` or more on a CPU, else None."""
    return RecurrentEncoderScan(encoder) if on_cpu(encoder) and encoder.settings.hidden >= LEAST_UNITS else None


class RecurrentEncoderScan:
    """One scan for each direction of each layer."""

    def __init__(self, encoder: RecurrentEncoder) -> None:
        self.encoder = encoder

    def __call__(self, tokens: Tensor, mask: Tensor | None = None) -> Annotations:
        """See :meth:`regard.encoders.text.TextEncoder.forward`."""
        batch, time = tokens.shape
        encoder, settings = self.encoder, self.encoder.settings
        lengths = None if mask is None else mask.sum(dim=1, keepdim=True)
        packing = pack_targets(lengths, batch=batch, rows=1, time=time, device=tokens.device)
        reversal = packing.reversal()
        x = drop(encoder.embedding_dropout, encoder.E(packing.pack(tokens.unsqueeze(1))))
        for layer in range(settings.layers):
            x = drop(encoder.dropout, x) if layer else x
            states = [self._scan_layer(f"l{layer}", x, packing)]
            ends = [states[0][reversal[:batch]]]  # the first tokens of all sentences are packed first
            if settings.bidirectional:
                backwards = self._scan_layer(f"l{layer}_reverse", x.index_select(0, reversal), packing)
                states.append(backwards.index_select(0, reversal))
                ends.append(states[1][:batch])
            x = torch.cat(states, dim=-1)
        values = packing.unpack(x).squeeze(1)
        return Annotations(drop(encoder.dropout, values), mask, drop(encoder.dropout, torch.cat(ends, dim=-1)))

    def _scan_layer(self, name: str, x: Tensor, packing: Packing) -> Tensor:
        """h of one direction of one layer after each token, [tokens, hidden], of its input [tokens, ·]."""
        settings, network = self.encoder.settings, self.encoder.network
        W_ih, W_hh, b_ih, b_hh = (  # noqa: N806 (the usual names)
            network.get_parameter(f"{kind}_{name}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        zeros = x.new_zeros(packing.shape[0], settings.hidden)
        c = zeros if settings.cell == "lstm" else None
        return scan(Scan(packing, settings.cell), Operands(linear(x, W_ih, b_ih), zeros, c, W_hh, b_hh)).h
