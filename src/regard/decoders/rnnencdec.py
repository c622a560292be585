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
from typing import TYPE_CHECKING, Literal

from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders.base import State, Step, uniform_weights
from regard.decoders.gated import GatedDecoder, GatedSettings, StackedMatrices

if TYPE_CHECKING:
    from jaxtyping import Int


class RnnEncDecSettings(GatedSettings):
    """Settings of the ``rnnencdec`` decoder."""

    name: Literal["rnnencdec"] = "rnnencdec"


@dataclass(frozen=True, kw_only=True)
class RnnEncDecMemory(Memory):
    """What every step needs.

    Attributes:
        stacked: the stacked matrices; the same for every input.
        context: c, [batch, 1, dim].
        inputs: [C_z; C_r; C] c, [batch, 1, 3n].
    """

    stacked: StackedMatrices
    context: Tensor
    inputs: Tensor


class RnnEncDecDecoder(GatedDecoder):
    """One vector at every step, and the previous word.

    Args:
        settings: sizes and options.
        dim: size of the encoder's last state, which is that of one annotation.
        vocabulary_size: number of tokens.

    Raises:
        ConfigError: tied matrices with unequal sizes.
    """

    settings_class = RnnEncDecSettings
    attends = False

    def __init__(self, settings: RnnEncDecSettings, *, dim: int, vocabulary_size: int) -> None:
        super().__init__(settings, dim=dim, start_dim=dim, vocabulary_size=vocabulary_size)
        self.settings = settings

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        memory = self._remember(annotations)
        return State(memory, {"s": self.initial(memory.context.squeeze(1)).expand(-1, rows, -1)})

    def step(self, state: State, tokens: Int[Tensor, "batch rows"]) -> Step:
        memory, s, embedded = state.memory, state.rows["s"], self.embedding_dropout(self.E(tokens))
        assert isinstance(memory, RnnEncDecMemory), "a state of this decoder's own start"
        readout = self.readout(s, embedded, memory.context)
        inputs = self.word_inputs(embedded, memory.stacked) + memory.inputs
        following = State(memory, {"s": self.advance(inputs, s, memory.stacked)}, state.length + 1)
        return Step(readout, following, uniform_weights(memory, tokens.shape[1]), self.logits)

    def _remember(self, annotations: Annotations) -> RnnEncDecMemory:
        stacked, values, c = self.stacked(), annotations.values, annotations.vector().unsqueeze(1)
        inputs = linear(c, stacked.context)
        return RnnEncDecMemory(values, values, annotations.mask, stacked=stacked, context=c, inputs=inputs)
