"""``repeat`` and ``feedback`` over whole targets in one scan (see :mod:`regard.decoders.single_vector`)."""

from __future__ import annotations

from torch import Tensor

from regard.annotations import Annotations
from regard.decoders.base import State, TeacherForcing, Trace, uniform_weights
from regard.decoders.cells import Hidden
from regard.decoders.single_vector import FeedbackDecoder, RepeatDecoder
from regard.fast.support import knows_cell, on_cpu
from regard.fast.training.scans import drop, scan_cell
from regard.ops.packing import pack_targets


def repeat_twin(decoder: RepeatDecoder) -> TeacherForcing | None:
    """The fused pass on a CPU, or None for a cell that it does not know."""
    return RepeatScan(decoder) if knows_cell(decoder.cell) and on_cpu(decoder) else None


def feedback_twin(decoder: FeedbackDecoder) -> TeacherForcing | None:
    """The fused pass on a CPU, or None for a cell that it does not know."""
    return FeedbackScan(decoder) if knows_cell(decoder.cell) and on_cpu(decoder) else None


class RepeatScan:
    """The words never enter, so one scan serves all captions of an input; dropout still differs between rows."""

    def __init__(self, decoder: RepeatDecoder) -> None:
        self.decoder = decoder

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        """See :meth:`regard.decoders.base.Decoder.trace`."""
        batch, rows, time = tokens.shape
        state = self.decoder.start(annotations)
        longest = None if lengths is None else lengths.amax(dim=1, keepdim=True)
        packing = pack_targets(longest, batch=batch, rows=1, time=time, device=tokens.device)
        inputs = state.rows["x"].squeeze(1).index_select(0, packing.inputs)
        h = packing.unpack(scan_cell(self.decoder.cell, inputs, _first(state, self.decoder.hidden_names), packing))
        return Trace(drop(self.decoder.dropout, h.expand(-1, rows, -1, -1)), _weights(state, rows, time))


class FeedbackScan:
    """One scan over the embeddings."""

    def __init__(self, decoder: FeedbackDecoder) -> None:
        self.decoder = decoder

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        """See :meth:`regard.decoders.base.Decoder.trace`."""
        batch, rows, time = tokens.shape
        decoder = self.decoder
        state = decoder.start(annotations)
        packing = pack_targets(lengths, batch=batch, rows=rows, time=time, device=tokens.device)
        embedded = drop(decoder.embedding_dropout, decoder.E(packing.pack(tokens)))
        inputs = decoder.cell.project(0, embedded)
        h = packing.unpack(scan_cell(decoder.cell, inputs, _first(state, decoder.hidden_names), packing))
        readouts = drop(decoder.dropout, decoder.L_h(drop(decoder.dropout, h)))
        return Trace(readouts, _weights(state, rows, time))


def _first(state: State, names: tuple[str, ...]) -> Hidden:
    return {name: state.rows[name].squeeze(1) for name in names}


def _weights(state: State, rows: int, time: int) -> Tensor:
    return uniform_weights(state.memory, rows).unsqueeze(2).expand(-1, -1, time, -1)
