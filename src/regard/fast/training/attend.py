"""``attend`` over whole targets (see :mod:`regard.decoders.attend` for the formulas).

Soft attention on a CPU is one scan with its gradient written out, in which captions of one image share the prefix that
they have in common. Hard attention, and any on a GPU, is a loop over the active rows; the embeddings' share of the
gates and the readout are products over all tokens in both.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding, linear

from regard.annotations import Annotations
from regard.attention import Attended, HardAttention
from regard.decoders.attend import AttendDecoder
from regard.decoders.base import TeacherForcing, Trace
from regard.fast.attention import fused, project_keys, query_operands, score_scale
from regard.fast.support import knows_attention, knows_cell, knows_score, on_cpu
from regard.fast.training.scans import drop, project_values_first, stack_steps
from regard.ops.packing import Packing, pack_targets, share_prefixes
from regard.ops.recurrent_scan import scan
from regard.ops.scan_operands import Operands, Scan


def twin(decoder: AttendDecoder) -> TeacherForcing | None:
    """The fused pass, or None for an attention or a cell that it does not know."""
    attention = decoder.attention
    if not knows_cell(decoder.cell):
        return None
    if knows_attention(attention) and on_cpu(decoder):
        return AttendScan(decoder)
    hard = type(attention) is HardAttention and knows_score(attention.score)
    return AttendLoop(decoder) if hard or knows_attention(attention) else None


class _AttendPass:
    """Products over all tokens that both passes share."""

    def __init__(self, decoder: AttendDecoder) -> None:
        self.decoder = decoder
        self._W_words, self._W_context = decoder.cell.matrices()

    def embed(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """E y and its share of the gates, of tokens [tokens]; each different token is multiplied once if it can be."""
        decoder, bias = self.decoder, self.decoder.cell.bias_ih
        if self.drops_embeddings or tokens.device.type != "cpu":
            embedded = drop(decoder.embedding_dropout, decoder.E(tokens))
            return embedded, linear(embedded, self._W_words, bias)
        unique, inverse = torch.unique(tokens, return_inverse=True)
        embedded = decoder.E(unique)
        # the gradient of an embedding is summed faster than that of an index
        return embedding(inverse, embedded), embedding(inverse, linear(embedded, self._W_words, bias))

    @property
    def drops_embeddings(self) -> bool:
        """Whether a token has another embedding at each occurrence, because elements of it are dropped."""
        return self.decoder.training and self.decoder.embedding_dropout.p > 0

    def readout(self, h: Tensor, deep: Tensor | None) -> Tensor:
        """L_h h_t and, with the deep output, E y_{t−1} + L_z z_t, of which ``deep`` is the sum."""
        dropout, L_h = self.decoder.dropout, self.decoder.L_h  # noqa: N806 (the paper's name)
        readout = linear(drop(dropout, h), L_h.weight, L_h.bias)
        return drop(dropout, readout if deep is None else readout + deep)


class AttendScan(_AttendPass):
    """Soft attention in one scan."""

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        """See :meth:`regard.decoders.base.Decoder.trace`."""
        batch, rows, time = tokens.shape
        packing = pack_targets(lengths, batch=batch, rows=rows, time=time, device=tokens.device)
        # 1. rows that begin alike are one row, where nothing random tells them apart
        scanned, prefix_index = packing, None
        if rows > 1 and not self.drops_embeddings:
            scanned, prefix_index = share_prefixes(packing, packing.pack(tokens))
        embedded, gates = self.embed(scanned.pack(tokens))
        # 2. attention and recurrence
        h, projected, weights = self._scan(annotations, gates, scanned)
        # 3. back to a token of each row, and the readout
        deep = None if projected is None else embedded + projected
        if prefix_index is not None:
            h, weights = h.index_select(0, prefix_index), weights.index_select(0, prefix_index)
            deep = None if deep is None else deep.index_select(0, prefix_index)
        return Trace(packing.unpack(self.readout(h, deep)), packing.unpack(weights))

    def _scan(self, annotations: Annotations, gates: Tensor, packing: Packing) -> tuple[Tensor, Tensor | None, Tensor]:
        """h, L_z z and α of all tokens, packed."""
        decoder, W_c = self.decoder, self._W_context  # noqa: N806 (the paper's name)
        values, score, cell = annotations.values, decoder.attention.score, decoder.cell
        first = {
            name: state.index_select(0, packing.first_inputs)
            for name, state in decoder.first_states(annotations).items()
        }
        projected_first = project_values_first(values, len(W_c), packing)
        operands = Operands(
            inputs=gates,
            h=first["h"],
            c=first.get("c"),
            W_hh=cell.weight_hh,
            b_hh=cell.bias_hh,
            keys=project_keys(score, values),
            values=linear(values, W_c) if projected_first else values,
            W_c=None if projected_first else W_c,
            w_beta=None if decoder.w_beta is None else decoder.w_beta.weight,
            b_beta=None if decoder.w_beta is None else decoder.w_beta.bias,
            **query_operands(score),
        )
        spec = Scan(packing, decoder.settings.cell, mask=annotations.mask, scale=score_scale(score))
        h, weights, beta = scan(spec, operands)
        assert weights is not None, "a scan with attention"
        return h, self._context(values, weights if beta is None else weights * beta, packing), weights

    def _context(self, values: Tensor, gated_weights: Tensor, packing: Packing) -> Tensor | None:
        """L_z z [tokens, embedding], of β α [tokens, position]."""
        L_z = self.decoder.L_z  # noqa: N806 (the paper's name)
        if L_z is None:
            return None
        by_input = packing.to_inputs(gated_weights)
        if values.shape[0] * values.shape[1] < len(packing):
            return packing.from_inputs(by_input @ linear(values, L_z.weight))
        return linear(packing.from_inputs(by_input @ values), L_z.weight)


class AttendLoop(_AttendPass):
    """Attention step by step on the active rows, with its own gradient."""

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        """See :meth:`regard.decoders.base.Decoder.trace`."""
        batch, rows, time = tokens.shape
        sizes = {"batch": batch, "rows": rows, "time": time}
        packing = pack_targets(lengths, batch=batch, rows=rows, time=time, device=tokens.device)
        decoder, attention = self.decoder, fused(self.decoder.attention)
        memory = attention.remember(annotations)
        embedded, gates = self.embed(packing.pack(tokens))
        padded, states, steps = packing.unpack(gates), [], []
        hidden = {name: value.unsqueeze(1) for name, value in decoder.first_states(annotations).items()}
        hidden = {name: value.expand(-1, rows, -1) for name, value in hidden.items()}
        for t, step in enumerate(packing.steps):
            block = (slice(step.num_inputs), slice(step.num_columns))
            hidden = {name: value[block] for name, value in hidden.items()}
            attended = self._attend(attention(hidden["h"], memory.first(step.num_inputs)), hidden["h"])
            hidden = decoder.cell.update(padded[(*block, t)] + attended.context @ self._W_context.t(), hidden)
            states.append(hidden["h"])
            steps.append(attended)
        z = packing.pack(stack_steps([each.context for each in steps], **sizes))
        deep = None if decoder.L_z is None else embedded + linear(z, decoder.L_z.weight)
        readout = self.readout(packing.pack(stack_steps(states, **sizes)), deep)
        choices = [each.log_choice for each in steps if each.log_choice is not None]
        weights = stack_steps([each.weights for each in steps], **sizes)
        return Trace(packing.unpack(readout), weights, stack_steps(choices, **sizes) if choices else None)

    def _attend(self, attended: Attended, h: Tensor) -> Attended:
        """The same with the gate: z_t = β_t times the context."""
        if self.decoder.w_beta is None:
            return attended
        beta = torch.sigmoid(self.decoder.w_beta(h))
        return Attended(beta * attended.context, attended.weights, attended.log_choice)
