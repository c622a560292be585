"""A GRU encoder prepared for inference: the numbers of :mod:`regard.encoders.recurrent` up to rounding.

    tokens   W_i E x + b_i, once for each different token of a batch and for both directions in one product
    steps    sentences stand in order of length, so those that go on are a leading block; both directions take a step
             together, the backward half from each sentence's own last token

Padding is never read. What stands under tanh comes doubled (:mod:`regard.fast.search.prepared_cell`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.encoders.recurrent import RecurrentEncoder
from regard.fast.search.prepared_cell import double_candidate, gru_update
from regard.fast.support import on_cpu
from regard.ops.linear import InferencePrecision, inference_linear


def twin(encoder: RecurrentEncoder, precision: InferencePrecision) -> PreparedGru | None:
    """The prepared encoder on a CPU; None for an LSTM or several layers."""
    known = encoder.settings.cell == "gru" and encoder.settings.layers == 1
    return PreparedGru(encoder, precision=precision) if known and on_cpu(encoder) else None


class PreparedGru:
    """Reads like the encoder that it is made from; later changes to its parameters are not seen.

    Args:
        encoder: a GRU of one layer, in evaluation mode, on the CPU.
        precision: of the products; bfloat16 for every lower one.
    """

    def __init__(self, encoder: RecurrentEncoder, *, precision: InferencePrecision) -> None:
        network = encoder.network
        self._hidden, self._E = encoder.settings.hidden, encoder.E.weight.detach()
        directions = ["l0", "l0_reverse"] if encoder.settings.bidirectional else ["l0"]

        def parameters(kind: str) -> list[Tensor]:
            return [double_candidate(network.get_parameter(f"{kind}_{each}"), self._hidden) for each in directions]

        precision = "float32" if precision == "float32" else "bfloat16"
        W_ih, b_ih = torch.cat(parameters("weight_ih")), torch.cat(parameters("bias_ih"))  # noqa: N806
        states = zip(parameters("weight_hh"), parameters("bias_hh"), strict=True)
        self._from_tokens = inference_linear(W_ih, b_ih, precision=precision)
        self._from_states = [inference_linear(weight, bias, precision=precision) for weight, bias in states]

    def __call__(self, tokens: Tensor, mask: Tensor | None = None) -> Annotations:
        """See :meth:`regard.encoders.text.TextEncoder.forward`."""
        batch, time = tokens.shape
        assert batch, "there is a sentence to read"
        # 1. sentences by length, longest first
        lengths = tokens.new_full((batch,), time) if mask is None else mask.sum(dim=1)
        order = lengths.argsort(descending=True, stable=True)
        lengths = lengths[order]
        assert int(lengths[-1]) > 0, "every sentence has a token, be it its end"
        positions = torch.arange(time, device=tokens.device)
        real = positions < lengths.unsqueeze(1)
        # 2. the index that reads each sentence backwards, which is its own inverse
        reversal = (lengths.unsqueeze(1) - 1 - positions).clamp_min_(0)
        # 3. each different token once, for both directions
        unique, inverse = torch.unique(tokens[order], return_inverse=True)
        read = [inverse, inverse.gather(1, reversal)][: len(self._from_states)]
        rows = torch.stack([each + direction * len(unique) for direction, each in enumerate(read)])
        inputs = self._from_tokens(self._E[unique]).view(len(unique), len(read), -1).transpose(0, 1).flatten(0, 1)
        states = self._scan(inputs, rows, real[:, : lengths[0]].sum(dim=0).tolist())
        # 4. last states, and the backward half in reading order
        summary = states[:, torch.arange(batch, device=tokens.device), lengths - 1]
        if len(read) == 2:
            states[1] = states[1].gather(1, reversal.unsqueeze(-1).expand(-1, -1, self._hidden))
            states[1].masked_fill_(~real.unsqueeze(-1), 0)
        back = order.argsort()
        return Annotations(_join(states)[back], mask, _join(summary)[back])

    def _scan(self, inputs: Tensor, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """The states after each step [directions, batch, time, hidden], zeros behind the end of a sentence.

        Args:
            inputs: [directions × tokens, gates], what each token adds.
            rows: int64 [directions, batch, time], which of them is read.
            counts: how many sentences take each step; at least one.
        """
        directions, batch, time = rows.shape
        states = inputs.new_zeros(directions, batch, time, self._hidden)
        h = inputs.new_zeros(directions, batch, self._hidden)
        for step, count in enumerate(counts):
            read = inputs.index_select(0, rows[:, :count, step].flatten()).view(directions, count, -1)
            h = self._advance(read, h[:, :count])
            states[:, :count, step] = h
        return states

    def _advance(self, inputs: Tensor, h: Tensor) -> Tensor:
        """States [directions, rows, hidden] after one token, which adds ``inputs`` [directions, rows, gates]."""
        gates = 2 * self._hidden
        recurrent = torch.stack([product(each) for product, each in zip(self._from_states, h, strict=True)])
        gates_rz = recurrent[..., :gates].add_(inputs[..., :gates])
        return gru_update(gates_rz, inputs[..., gates:], recurrent[..., gates:], h)


def _join(states: Tensor) -> Tensor:
    """[directions, ..., hidden] to [..., directions × hidden]."""
    return torch.cat(states.unbind(), dim=-1)
