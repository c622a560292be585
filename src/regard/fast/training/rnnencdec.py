"""``rnnencdec`` over whole targets in one scan (see :mod:`regard.decoders.rnnencdec` for the formulas)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.base import TeacherForcing, Trace, uniform_weights
from regard.decoders.rnnencdec import RnnEncDecDecoder
from regard.fast.support import on_cpu
from regard.fast.training.gated import GatedPass
from regard.ops.packing import pack_targets
from regard.ops.recurrent_scan import scan
from regard.ops.scan_operands import Operands, Scan


def twin(decoder: RnnEncDecDecoder) -> TeacherForcing | None:
    """The fused pass on a CPU, else None."""
    return RnnEncDecScan(decoder) if on_cpu(decoder) else None


class RnnEncDecScan:
    """The whole pass in one scan."""

    def __init__(self, decoder: RnnEncDecDecoder) -> None:
        self.decoder, self._gated = decoder, GatedPass(decoder)

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        """See :meth:`regard.decoders.base.Decoder.trace`."""
        batch, rows, time = tokens.shape
        decoder, gated, c = self.decoder, self._gated, annotations.vector()
        packing = pack_targets(lengths, batch=batch, rows=rows, time=time, device=tokens.device)
        embedded = gated.embed(packing.pack(tokens))
        from_context = linear(c, gated.stacked.context).index_select(0, packing.inputs)
        first = decoder.initial(c).squeeze(1).index_select(0, packing.first_inputs)
        inputs = gated.word_inputs(embedded) + from_context
        operands = Operands(inputs, first, None, gated.stacked.gates, U=decoder.U)
        after = scan(Scan(packing, "gated"), operands).h
        states = torch.cat([first, after]).index_select(0, packing.before())
        readouts = gated.readout(packing.unpack(states), packing.unpack(embedded), c[:, None, None])
        memory = Memory(annotations.values, annotations.values, annotations.mask)
        return Trace(readouts, uniform_weights(memory, rows).unsqueeze(2).expand(-1, -1, time, -1))
