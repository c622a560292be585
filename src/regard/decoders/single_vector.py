"""The two decoders without attention: the whole picture (or sentence) is one vector x.

``repeat``: x enters at every step, the previous word never does (cf. Mao et al. 2015, with the word path removed).

    h_t = LSTM(x, h_{t-1}),  h_0 = 0        p_t = softmax(W h_t)

``feedback``: x enters once, first; afterwards each word is the next input (Vinyals et al. 2015, eq. 10–12).

    h_0 = LSTM(W x, 0)                       h_t = LSTM(E y_{t-1}, h_{t-1})        p_t = softmax(W_o h_t)

x is the encoder's own summary where it has one, the mean annotation otherwise, passed through a linear bottleneck of
``image_vector`` numbers where that is set: the size whose cost the comparison of decoders measures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.attention import Memory
from regard.config import PartSettings
from regard.decoders.base import Decoder, State, Step, uniform_weights
from regard.decoders.cells import CellName, Hidden, build_cell, hidden_names

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class _SingleVectorSettings(PartSettings):
    hidden: int = Field(512, ge=1, le=8192)
    cell: CellName = "lstm"
    image_vector: int | None = Field(None, ge=1, le=8192)
    """Size of the bottleneck that x passes through; None for no bottleneck."""
    dropout: float = Field(0.5, ge=0, lt=1)


class RepeatSettings(_SingleVectorSettings):
    """Settings of the ``repeat`` decoder."""

    name: Literal["repeat"] = "repeat"


class FeedbackSettings(_SingleVectorSettings):
    """Settings of the ``feedback`` decoder."""

    name: Literal["feedback"] = "feedback"
    embedding: int = Field(512, ge=1, le=8192)
    tied: bool = True
    embedding_dropout: float = Field(0.0, ge=0, lt=1)


class _SingleVectorDecoder(Decoder):
    """What both share: x, its bottleneck, the recurrent cell and the output layer."""

    attends = False

    def __init__(
        self, settings: RepeatSettings | FeedbackSettings, *, dim: int, inputs: int, vocabulary_size: int
    ) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.hidden_names = hidden_names(settings.cell)
        size = settings.image_vector
        self.bottleneck = nn.Identity() if size is None else nn.Linear(dim, size)
        self.vector_dim = dim if size is None else size
        self.cell = build_cell(settings.cell, (inputs or self.vector_dim,), settings.hidden)
        self.dropout = nn.Dropout(settings.dropout)

    def vector(self, annotations: Annotations) -> Float[Tensor, "batch 1 vector_dim"]:
        """x, [batch, 1, vector_dim]."""
        summary = annotations.mean() if annotations.summary is None else annotations.summary
        vector: Tensor = self.bottleneck(summary)
        return vector.unsqueeze(1)

    def _zeros(self, vector: Tensor) -> Hidden:
        zeros = vector.new_zeros(vector.shape[0], 1, self.cell.hidden)
        return dict.fromkeys(self.hidden_names, zeros)


class RepeatDecoder(_SingleVectorDecoder):
    """x at every step and never the previous word, so all rows of an input are equal."""

    settings_class = RepeatSettings

    def __init__(self, settings: RepeatSettings, *, dim: int, vocabulary_size: int) -> None:
        super().__init__(settings, dim=dim, inputs=0, vocabulary_size=vocabulary_size)
        self.settings = settings
        self.W = nn.Linear(settings.hidden, vocabulary_size)

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        vector = self.vector(annotations)
        state = {**self._zeros(vector), "x": self.cell.project(0, vector)}
        memory = Memory(annotations.values, annotations.values, annotations.mask)
        return State(memory, {name: value.expand(-1, rows, -1) for name, value in state.items()})

    def step(self, state: State, tokens: Int[Tensor, "batch rows"]) -> Step:
        hidden = self.cell.update(state.rows["x"], {name: state.rows[name] for name in self.hidden_names})
        following = State(state.memory, {**hidden, "x": state.rows["x"]}, state.length + 1)
        weights = uniform_weights(state.memory, tokens.shape[1])
        return Step(self.dropout(hidden["h"]), following, weights, self.logits)

    def logits(self, readouts: Float[Tensor, "*shape readout_dim"]) -> Float[Tensor, "*shape vocabulary"]:
        logits: Tensor = self.W(readouts)
        return logits

    def vocabulary_layer(self) -> tuple[Tensor, Tensor | None]:
        return self.W.weight, self.W.bias


class FeedbackDecoder(_SingleVectorDecoder):
    """x once, then the previous word."""

    settings_class = FeedbackSettings

    def __init__(self, settings: FeedbackSettings, *, dim: int, vocabulary_size: int) -> None:
        super().__init__(settings, dim=dim, inputs=settings.embedding, vocabulary_size=vocabulary_size)
        self.settings = settings
        self.E = nn.Embedding(vocabulary_size, settings.embedding)
        nn.init.normal_(self.E.weight, std=settings.embedding**-0.5)
        self.cell.expect_small(0, settings.embedding**-0.5)
        self.W = nn.Linear(self.vector_dim, settings.embedding)
        # x goes in where words do, so it begins as small as they are; otherwise it would saturate every gate
        with torch.no_grad():
            self.W.weight *= settings.embedding**-0.5
        self.L_h = nn.Linear(settings.hidden, settings.embedding)
        self.W_o = nn.Linear(settings.embedding, vocabulary_size)
        if settings.tied:
            self.W_o.weight = self.E.weight
        self.embedding_dropout = nn.Dropout(settings.embedding_dropout)

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        vector = self.vector(annotations)
        hidden = self.cell.update(self.cell.project(0, self.W(vector)), self._zeros(vector))
        memory = Memory(annotations.values, annotations.values, annotations.mask)
        return State(memory, {name: value.expand(-1, rows, -1) for name, value in hidden.items()})

    def step(self, state: State, tokens: Int[Tensor, "batch rows"]) -> Step:
        embedded = self.embedding_dropout(self.E(tokens))
        hidden = self.cell.update(self.cell.project(0, embedded), state.rows)
        following = State(state.memory, hidden, state.length + 1)
        readout = self.dropout(self.L_h(self.dropout(hidden["h"])))
        return Step(readout, following, uniform_weights(state.memory, tokens.shape[1]), self.logits)

    def logits(self, readouts: Float[Tensor, "*shape readout_dim"]) -> Float[Tensor, "*shape vocabulary"]:
        logits: Tensor = self.W_o(readouts)
        return logits

    def vocabulary_layer(self) -> tuple[Tensor, Tensor | None]:
        return self.W_o.weight, self.W_o.bias
