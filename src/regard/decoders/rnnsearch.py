"""``rnnsearch``: the decoder of Bahdanau, Cho & Bengio 2015, appendix A, with any score.

    e_tj = v_aᵀ tanh(W_a s_{t−1} + U_a h_j)         A.1.2, the additive score
    α_t  = softmax(e_t)        c_t = Σ_j α_tj h_j
    s_t  = gated unit of E y_{t−1}, s_{t−1}, c_t     see :mod:`regard.decoders.gated`
    p_t  = readout of s_{t−1}, E y_{t−1}, c_t        the same
    s_0  = tanh(W_s ←h_1)                            A.2.2

←h_1 is the first state of the encoder's backward half: the end of the summary of an encoder that reads both ways. Where
an encoder has none, s_0 starts from its whole summary (one that reads one way), and without a summary (a picture, a
Transformer) from the mean annotation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import linear

from regard.annotations import Annotations
from regard.attention import Attended, Attention, Memory
from regard.decoders.base import State, Step
from regard.decoders.gated import GatedDecoder, GatedSettings, StackedMatrices
from regard.scores import ScoreName
from regard.scores.additive import Additive

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class RnnSearchSettings(GatedSettings):
    """Settings of the ``rnnsearch`` decoder."""

    name: Literal["rnnsearch"] = "rnnsearch"
    attention: int = Field(512, ge=1, le=8192)
    """Size of the projections of the additive and the concat score; n′ in the paper."""
    score: ScoreName = "additive"


@dataclass(frozen=True, kw_only=True)
class RnnSearchMemory(Memory):
    """What decoding step by step needs as well: the stacked matrices, and the products with c_t.

    Attributes:
        stacked: the stacked matrices; the same for every input.
        inputs: [C_z; C_r; C] h_j, [batch, position, 3n]. Mixed by the weights it is the same as the product with c_t,
            but is computed once per input and not once per hypothesis and word.
    """

    stacked: StackedMatrices
    inputs: Tensor


class RnnSearchDecoder(GatedDecoder):
    """Attention before every step, from the state before it.

    Args:
        settings: sizes and options.
        dim: size of one annotation.
        vocabulary_size: number of tokens.
        backward_dim: size of ←h_1 at the end of the encoder's summary; 0 for an encoder without a backward half.

    Raises:
        ConfigError: a dot score or tied matrices with unequal sizes.
    """

    settings_class = RnnSearchSettings

    def __init__(self, settings: RnnSearchSettings, *, dim: int, vocabulary_size: int, backward_dim: int = 0) -> None:
        super().__init__(settings, dim=dim, start_dim=backward_dim or dim, vocabulary_size=vocabulary_size)
        self.settings = settings
        self.backward_dim = backward_dim
        self.attention = Attention(settings.hidden, dim, score=settings.score, attention_dim=settings.attention)

    @classmethod
    def build(cls, settings: Any, *, dim: int, vocabulary_size: int, backward_dim: int = 0) -> RnnSearchDecoder:
        """See :meth:`Decoder.build`."""
        return cls(settings, dim=dim, vocabulary_size=vocabulary_size, backward_dim=backward_dim)

    @property
    def W_a(self) -> Tensor:  # noqa: N802 (the paper's name)
        """[n′, n], of the additive score."""
        return self._additive().W.weight

    @property
    def U_a(self) -> Tensor:  # noqa: N802 (the paper's name)
        """[n′, dim], of the additive score."""
        return self._additive().U.weight

    @property
    def v_a(self) -> Tensor:
        """[n′], of the additive score."""
        return self._additive().v

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        stacked = self.stacked()
        memory = self.attention.remember(annotations)
        inputs = linear(memory.values, stacked.context)
        s = self.first_state(annotations).expand(-1, rows, -1)
        return State(RnnSearchMemory(memory.values, memory.keys, memory.mask, stacked=stacked, inputs=inputs), {"s": s})

    def step(self, state: State, tokens: Int[Tensor, "batch rows"]) -> Step:
        memory, s, embedded = state.memory, state.rows["s"], self.embedding_dropout(self.E(tokens))
        assert isinstance(memory, RnnSearchMemory), "a state of this decoder's own start"
        attended: Attended = self.attention(s, memory)
        readout = self.readout(s, embedded, attended.context)
        inputs = self.word_inputs(embedded, memory.stacked) + attended.weights @ memory.inputs
        following = State(memory, {"s": self.advance(inputs, s, memory.stacked)}, state.length + 1)
        return Step(readout, following, attended.weights, self.logits)

    def first_state(self, annotations: Annotations) -> Float[Tensor, "batch 1 n"]:
        """s_0, [batch, 1, n]."""
        vector = annotations.vector()
        if self.backward_dim:
            assert annotations.summary is not None, "an encoder with a backward half gives its last states as summary"
            vector = vector[:, -self.backward_dim :]
        return self.initial(vector)

    def _additive(self) -> Additive:
        score = self.attention.score
        assert isinstance(score, Additive), "W_a, U_a and v_a belong to the additive score"
        return score
