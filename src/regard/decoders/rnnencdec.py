"""``rnnencdec``: the model without attention that Bahdanau et al. 2015 compare with (Cho et al. 2014).

    c   = the encoder's last state, the same at every step
    s_t = gated unit of E y_{t−1}, s_{t−1}, c       see :mod:`regard.decoders.gated`
    p_t = readout of s_{t−1}, E y_{t−1}, c          the same
    s_0 = tanh(W_s c)                               Cho 2014, appendix A.2

Differences from Cho 2014: the readout takes s_{t−1} where that paper takes s_t, so that this decoder differs from
``rnnsearch`` by the attention alone. An encoder that reads both ways gives the last states of both directions as c, and
one without a last state (a picture, a Transformer) the mean annotation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.base import State, Step, Trace, uniform_weights
from regard.decoders.gated import GatedDecoder, GatedSettings, Joined
from regard.ops import steps_plainly
from regard.ops.packing import pack_targets
from regard.ops.recurrent_scan import ReadOperands, read


class RnnEncDecSettings(GatedSettings):
    """Settings of the ``rnnencdec`` decoder."""

    name: Literal["rnnencdec"] = "rnnencdec"


@dataclass(frozen=True, kw_only=True)
class RnnEncDecMemory(Memory):
    """What every step needs.

    Attributes:
        joined: the stacked matrices; the same for every input.
        context: c, [batch, 1, dim].
        inputs: [C_z; C_r; C] c, [batch, 1, 3n].
    """

    joined: Joined
    context: Tensor
    inputs: Tensor


class RnnEncDecDecoder(GatedDecoder):
    """Sees one vector at every step, and its own previous word.

    Args:
        settings: sizes and options.
        dim: size of the encoder's last state, which is that of one annotation.
        vocabulary_size: number of tokens.

    Raises:
        ConfigError: tied matrices with unequal sizes.
    """

    attends = False

    def __init__(self, settings: RnnEncDecSettings, *, dim: int, vocabulary_size: int) -> None:
        super().__init__(settings, dim=dim, start_dim=dim, vocabulary_size=vocabulary_size)
        self.settings = settings

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        memory = self._remember(annotations)
        return State(memory, {"s": self.initial(memory.context.squeeze(1)).expand(-1, rows, -1)})

    def step(self, state: State, tokens: Tensor) -> Step:
        memory, s, embedded = state.memory, state.rows["s"], self.E(tokens)
        assert isinstance(memory, RnnEncDecMemory), "a state of this decoder's own start"
        logits = self.logits(self.readout(s, embedded, memory.context))
        inputs = self.word_inputs(embedded, memory.joined) + memory.inputs
        following = State(memory, {"s": self.advance(inputs, s, memory.joined)}, state.length + 1)
        return Step(logits, following, uniform_weights(memory, tokens.shape[1]))

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        batch, rows, time = tokens.shape
        memory = self._remember(annotations)
        weights = uniform_weights(memory, rows).unsqueeze(2).expand(-1, -1, time, -1)
        if steps_plainly(tokens.device):
            return Trace(self._step_through(memory, tokens), weights)
        packing = pack_targets(lengths, batch=batch, rows=rows, time=time, device=tokens.device)
        embedded = self.embedding_dropout(self.E(packing.pack(tokens)))
        inputs = memory.inputs.squeeze(1).index_select(0, packing.inputs)
        first = self.initial(memory.context.squeeze(1)).squeeze(1).index_select(0, packing.first_inputs)
        words = self.word_inputs(embedded, memory.joined) + inputs
        after = read(packing, "gated", ReadOperands(words, first, None, memory.joined.gates, U=self.U))
        states = torch.cat([first, after]).index_select(0, packing.before())
        context = memory.context.unsqueeze(2)
        return Trace(self.readout(packing.unpack(states), packing.unpack(embedded), context), weights)

    def _step_through(self, memory: RnnEncDecMemory, tokens: Tensor) -> Tensor:
        """The readouts of every step, [batch, rows, time, l], one step after the other."""
        embedded = self.embedding_dropout(self.E(tokens))
        inputs = (self.word_inputs(embedded, memory.joined) + memory.inputs.unsqueeze(2)).unbind(dim=2)
        states = [self.initial(memory.context.squeeze(1)).expand(-1, tokens.shape[1], -1)]
        for each in inputs[:-1]:
            states.append(self.advance(each, states[-1], memory.joined))
        return self.readout(torch.stack(states, dim=2), embedded, memory.context.unsqueeze(2))

    def _remember(self, annotations: Annotations) -> RnnEncDecMemory:
        joined, values, c = self.joined(), annotations.values, annotations.vector().unsqueeze(1)
        inputs = linear(c, joined.context)
        return RnnEncDecMemory(values, values, annotations.mask, joined=joined, context=c, inputs=inputs)
