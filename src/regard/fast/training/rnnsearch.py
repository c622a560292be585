"""``rnnsearch`` over whole targets (see :mod:`regard.decoders.rnnsearch` for the formulas).

On a CPU it is one scan with its gradient written out, on a GPU a loop over the active rows.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Attended
from regard.decoders.base import TeacherForcing, Trace
from regard.decoders.rnnsearch import RnnSearchDecoder
from regard.fast.attention import fused, project_keys, query_operands, score_scale
from regard.fast.support import knows_attention, on_cpu
from regard.fast.training.gated import GatedPass
from regard.fast.training.scans import project_values_first, stack_steps
from regard.ops.packing import pack_targets
from regard.ops.recurrent_scan import scan
from regard.ops.scan_operands import Operands, Scan


def twin(decoder: RnnSearchDecoder) -> TeacherForcing | None:
    """The fused pass, or None for an attention that it does not know."""
    if not knows_attention(decoder.attention):
        return None
    return RnnSearchScan(decoder) if on_cpu(decoder) else RnnSearchLoop(decoder)


class RnnSearchScan:
    """The whole pass in one scan."""

    def __init__(self, decoder: RnnSearchDecoder) -> None:
        self.decoder, self._gated = decoder, GatedPass(decoder)

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        """See :meth:`regard.decoders.base.Decoder.trace`."""
        batch, rows, time = tokens.shape
        decoder, gated, values = self.decoder, self._gated, annotations.values
        packing = pack_targets(lengths, batch=batch, rows=rows, time=time, device=tokens.device)
        score, W_c = decoder.attention.score, gated.stacked.context  # noqa: N806 (the paper's name)
        keys, embedded = project_keys(score, values), gated.embed(packing.pack(tokens))
        projected_first = project_values_first(values, len(W_c), packing)
        s = decoder.first_state(annotations).squeeze(1).index_select(0, packing.first_inputs)
        operands = Operands(
            inputs=gated.word_inputs(embedded),
            h=s,
            c=None,
            W_hh=gated.stacked.gates,
            U=decoder.U,
            keys=keys,
            values=linear(values, W_c) if projected_first else values,
            W_c=None if projected_first else W_c,
            **query_operands(score),
        )
        after, weights, _ = scan(Scan(packing, "gated", mask=annotations.mask, scale=score_scale(score)), operands)
        assert weights is not None, "a scan with attention"
        states = torch.cat([s, after]).index_select(0, packing.before())
        contexts = packing.from_inputs(packing.to_inputs(weights) @ values)
        return Trace(packing.unpack(gated.readout(states, embedded, contexts)), packing.unpack(weights))


class RnnSearchLoop:
    """Attention and recurrence step by step on the active rows; the readout is one product over all steps."""

    def __init__(self, decoder: RnnSearchDecoder) -> None:
        self.decoder, self._gated = decoder, GatedPass(decoder)

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        """See :meth:`regard.decoders.base.Decoder.trace`."""
        batch, rows, time = tokens.shape
        sizes = {"batch": batch, "rows": rows, "time": time}
        decoder, gated, attention = self.decoder, self._gated, fused(self.decoder.attention)
        packing = pack_targets(lengths, batch=batch, rows=rows, time=time, device=tokens.device)
        memory, s = attention.remember(annotations), decoder.first_state(annotations).expand(-1, rows, -1)
        embedded = gated.embed(tokens)
        inputs = gated.word_inputs(embedded)
        states: list[Tensor] = []
        steps: list[Attended] = []
        for t, step in enumerate(packing.steps):
            block = (slice(step.num_inputs), slice(step.num_columns))
            if t:
                context = steps[-1].context[block] @ gated.stacked.context.t()
                s = decoder.advance(inputs[(*block, t - 1)] + context, s[block], gated.stacked)
            states.append(s)
            steps.append(attention(s, memory.first(step.num_inputs)))
        contexts = stack_steps([each.context for each in steps], **sizes)
        readouts = gated.readout(stack_steps(states, **sizes), embedded, contexts)
        return Trace(readouts, stack_steps([each.weights for each in steps], **sizes))
