"""``luong`` over whole targets (see :mod:`regard.decoders.luong` for the formulas).

Without input feeding no attention stands between two recurrent steps, so each layer is one scan and all steps attend
at once. With it the pass is a loop over the active rows; the embeddings' share of the gates is one product.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Attended, Attention, LocalAttention, Memory
from regard.decoders.base import TeacherForcing, Trace
from regard.decoders.luong import LuongDecoder
from regard.fast.attention import fused
from regard.fast.support import knows_attention, knows_cell, knows_score, on_cpu
from regard.fast.training.scans import drop, scan_cell, stack_steps
from regard.ops.packing import Packing, pack_targets


def twin(decoder: LuongDecoder) -> TeacherForcing | None:
    """The fused pass, or None for an attention or a cell that it does not know."""
    attention = decoder.attention
    local = type(attention) is LocalAttention and knows_score(attention.score)
    if not all(map(knows_cell, decoder.cells)) or not (local or knows_attention(attention)):
        return None
    if decoder.settings.input_feeding:
        return InputFeedingLoop(decoder)
    return LuongScan(decoder) if on_cpu(decoder) else None


class LuongScan:
    """A decoder without input feeding, one scan for each layer."""

    def __init__(self, decoder: LuongDecoder) -> None:
        self.decoder = decoder

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        """See :meth:`regard.decoders.base.Decoder.trace`."""
        batch, rows, time = tokens.shape
        decoder, attention = self.decoder, fused(self.decoder.attention)
        packing = pack_targets(lengths, batch=batch, rows=rows, time=time, device=tokens.device)
        h = packing.unpack(self._scan(annotations, packing.pack(tokens), packing)).flatten(1, 2)
        steps = torch.arange(time, device=tokens.device).repeat(rows)
        attended = attention(h, attention.remember(annotations), steps)
        readout = decoder.readout(h, attended.context)
        weights = attended.weights.view(batch, rows, time, -1)
        return Trace(drop(decoder.dropout, readout.view(batch, rows, time, -1)), weights)

    def _scan(self, annotations: Annotations, tokens: Tensor, packing: Packing) -> Tensor:
        """h_t of the top layer after every token, packed."""
        decoder = self.decoder
        x = drop(decoder.embedding_dropout, decoder.E(tokens))
        for i, first in enumerate(decoder.unstack(decoder.first_states(annotations, 1))):
            x, cell = drop(decoder.dropout, x) if i else x, decoder.layer(i)
            states = {name: state.squeeze(1) for name, state in first.items()}
            x = scan_cell(cell, cell.project(0, x), states, packing)
        return x


class InputFeedingLoop:
    """A decoder with input feeding: recurrence and attention step by step on the active rows."""

    def __init__(self, decoder: LuongDecoder) -> None:
        self.decoder = decoder

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        """See :meth:`regard.decoders.base.Decoder.trace`."""
        batch, rows, time = tokens.shape
        sizes = {"batch": batch, "rows": rows, "time": time}
        decoder, attention = self.decoder, fused(self.decoder.attention)
        packing = pack_targets(lengths, batch=batch, rows=rows, time=time, device=tokens.device)
        inputs = decoder.layer(0).project(0, drop(decoder.embedding_dropout, decoder.E(tokens))).unbind(dim=2)
        W_fed = decoder.layer(0).columns(1)  # noqa: N806 (sliced once: a slice costs a matrix of zeros backward)
        initial, memory = decoder.first_states(annotations, rows), attention.remember(annotations)
        layers, fed = decoder.unstack(initial), torch.zeros_like(initial["h"][:, :, 0])
        readouts: list[Tensor] = []
        weights: list[Tensor] = []
        for t, step in enumerate(packing.steps):
            block = (slice(step.num_inputs), slice(step.num_columns))
            layers = [{name: value[block] for name, value in layer.items()} for layer in layers]
            layers = decoder.recur(inputs[t][block] + linear(fed[block], W_fed), layers)
            fed, step_weights = self._attend(attention, layers[-1]["h"], memory.first(step.num_inputs), t)
            readouts.append(fed)
            weights.append(step_weights)
        return Trace(drop(decoder.dropout, stack_steps(readouts, **sizes)), stack_steps(weights, **sizes))

    def _attend(self, attention: Attention, h: Tensor, memory: Memory, t: int) -> tuple[Tensor, Tensor]:
        """h̃_t and α_t of one step."""
        attended: Attended = attention(h, memory, torch.full((h.shape[1],), t, device=h.device))
        return self.decoder.readout(h, attended.context), attended.weights
