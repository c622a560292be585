"""A recurrent encoder made ready for inference: the numbers of :mod:`regard.encoders.recurrent` up to rounding.

    words    W_i E x + b_i, once for each different token of a batch and for both directions in one product
    steps    sentences stand in order of length, so those that go on are a leading block; both directions take a step
             together, the backward half from each sentence's own last token

Padding is never read. Since tanh x = 2 σ(2x) − 1, and σ takes a sixth of the time, what stands under tanh comes
doubled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.encoders.recurrent import RecurrentEncoder
from regard.ops.linear import InferencePrecision, ready_product


class ReadyGru:
    """Reads like the encoder that it is made from; later changes to its parameters are not seen.

    Args:
        encoder: a GRU of one layer, in evaluation mode, on the processor.
        rounded: whether products are taken in bfloat16.
    """

    def __init__(self, encoder: RecurrentEncoder, *, rounded: bool) -> None:
        network = encoder.network
        self._hidden, self._E = encoder.settings.hidden, encoder.E.weight.detach()
        names = ["l0", "l0_reverse"] if encoder.settings.bidirectional else ["l0"]

        def stacked(kind: str) -> list[Tensor]:
            return [self._doubled(getattr(network, f"{kind}_{name}").detach()) for name in names]

        precision: InferencePrecision = "bfloat16" if rounded else "float32"
        of_words, of_states = stacked("weight_ih"), zip(stacked("weight_hh"), stacked("bias_hh"), strict=True)
        self._of_words = ready_product(torch.cat(of_words), torch.cat(stacked("bias_ih")), precision=precision)
        self._of_states = [ready_product(weight, bias, precision=precision) for weight, bias in of_states]

    @staticmethod
    def takes(encoder: object) -> TypeGuard[RecurrentEncoder]:
        """Whether an encoder can be made ready so."""
        if type(encoder) is not RecurrentEncoder or encoder.E.weight.device.type != "cpu":
            return False
        return encoder.settings.cell == "gru" and encoder.settings.layers == 1

    def __call__(self, tokens: Tensor, mask: Tensor | None = None) -> Annotations:
        """See :meth:`regard.encoders.text.TextEncoder.forward`."""
        batch, time = tokens.shape
        assert batch, "there is a sentence to read"
        lengths = tokens.new_full((batch,), time) if mask is None else mask.sum(dim=1)
        order = lengths.argsort(descending=True, stable=True)
        lengths = lengths[order]
        assert int(lengths[-1]) > 0, "every sentence has a token, be it its end"
        places = torch.arange(time, device=tokens.device)
        real = places < lengths.unsqueeze(1)
        # the n-th token from behind, and so its own inverse
        turned = (lengths.unsqueeze(1) - 1 - places).clamp_min_(0)
        words, numbers = torch.unique(tokens[order], return_inverse=True)
        read = [numbers, numbers.gather(1, turned)][: len(self._of_states)]
        rows = torch.stack([each + way * len(words) for way, each in enumerate(read)])
        inputs = self._of_words(self._E[words]).view(len(words), len(read), -1).transpose(0, 1).flatten(0, 1)
        states = self._walk(inputs, rows, real[:, : lengths[0]].sum(dim=0).tolist())
        summary = states[:, torch.arange(batch, device=tokens.device), lengths - 1]
        if len(read) == 2:
            states[1] = states[1].gather(1, turned.unsqueeze(-1).expand(-1, -1, self._hidden))
            states[1].masked_fill_(~real.unsqueeze(-1), 0)
        back = order.argsort()
        return Annotations(_joined(states)[back], mask, _joined(summary)[back])

    def _walk(self, inputs: Tensor, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """The states after each step [ways, batch, time, hidden], zeros behind the end of a sentence.

        Args:
            inputs: [ways × words, gates], what each word adds.
            rows: int64 [ways, batch, time], which of them is read.
            counts: how many sentences take each step; some of them.
        """
        ways, batch, time = rows.shape
        states = inputs.new_zeros(ways, batch, time, self._hidden)
        h = inputs.new_zeros(ways, batch, self._hidden)
        for step, count in enumerate(counts):
            read = inputs.index_select(0, rows[:, :count, step].flatten()).view(ways, count, -1)
            h = self._advance(read, h[:, :count])
            states[:, :count, step] = h
        return states

    def _advance(self, inputs: Tensor, h: Tensor) -> Tensor:
        """States [ways, rows, hidden] after one token, which adds ``inputs`` [ways, rows, gates]."""
        gates = 2 * self._hidden
        recurrent = torch.stack([product(each) for product, each in zip(self._of_states, h, strict=True)])
        r, z = recurrent[..., :gates].add_(inputs[..., :gates]).sigmoid_().chunk(2, dim=-1)
        n = inputs[..., gates:].addcmul_(r, recurrent[..., gates:]).sigmoid_().mul_(2).sub_(1)
        return torch.lerp(n, h, z)

    def _doubled(self, rows: Tensor) -> Tensor:
        """A matrix or a bias of r, z and n as it is used here."""
        gates, candidate = torch.split(rows, [2 * self._hidden, self._hidden])
        return torch.cat([gates, candidate * 2])


def _joined(states: Tensor) -> Tensor:
    """[ways, ..., hidden] to [..., ways × hidden]."""
    return torch.cat(states.unbind(), dim=-1)
