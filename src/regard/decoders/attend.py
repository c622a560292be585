"""``attend``: Show, Attend and Tell (Xu et al. 2015), with soft or hard attention and any score.

    e_ti = score(h_{t-1}, a_i)              additive in the paper: vᵀ tanh(W_a a_i + W_h h_{t-1})
    α_t  = softmax(e_t)                     eq. 5
    β_t  = σ(w_β h_{t-1})                   §4.2.1, the gate
    z_t  = β_t Σ_i α_ti a_i                 eq. 8 and §4.2.1; hard attention: one a_i, §4.1
    h_t  = LSTM([E y_{t-1}; z_t], h_{t-1})  eq. 1–3
    p_t  ∝ exp(L_o(E y_{t-1} + L_h h_t + L_z z_t))      eq. 7
    h_0, c_0 = MLPs of the mean annotation  §3.1.2

Differences: a GRU may stand in for the LSTM, the gate and the deep output can be switched off, L_o may share its matrix
with E, and dropout may act on E y, on the readout and on the annotations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.attention import Attended, Attention, HardAttention
from regard.config import PartSettings
from regard.decoders.base import Decoder, State, Step
from regard.decoders.cells import CellName, Hidden, build_cell, hidden_names
from regard.scores import ScoreName

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class AttendSettings(PartSettings):
    """Settings of the ``attend`` decoder."""

    name: Literal["attend"] = "attend"
    embedding: int = Field(512, ge=1, le=8192)
    hidden: int = Field(512, ge=1, le=8192)
    attention: int = Field(512, ge=1, le=8192)
    score: ScoreName = "additive"
    kind: Literal["soft", "hard"] = "soft"
    cell: CellName = "lstm"
    gate: bool = True
    deep_output: bool = True
    tied: bool = True
    """L_o shares its matrix with E."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """On the readout, before L_o."""
    embedding_dropout: float = Field(0.0, ge=0, lt=1)


class AttendDecoder(Decoder):
    """Attention before every step, from the state before it.

    Args:
        settings: sizes and options.
        dim: size of one annotation.
        vocabulary_size: number of tokens.

    Raises:
        ConfigError: a dot score with unequal sizes.
    """

    settings_class = AttendSettings

    def __init__(self, settings: AttendSettings, *, dim: int, vocabulary_size: int) -> None:
        super().__init__()
        self.settings = settings
        self.vocabulary_size = vocabulary_size
        hidden, embedding = settings.hidden, settings.embedding
        self.E = nn.Embedding(vocabulary_size, embedding)
        nn.init.normal_(self.E.weight, std=embedding**-0.5)
        kind = HardAttention if settings.kind == "hard" else Attention
        self.attention = kind(hidden, dim, score=settings.score, attention_dim=settings.attention)
        self.cell = build_cell(settings.cell, (embedding, dim), hidden)
        self.cell.expect_small(0, embedding**-0.5)
        self.start_states = nn.ModuleDict({name: nn.Linear(dim, hidden) for name in hidden_names(settings.cell)})
        self.w_beta = nn.Linear(hidden, 1) if settings.gate else None
        self.L_h = nn.Linear(hidden, embedding)
        self.L_z = nn.Linear(dim, embedding, bias=False) if settings.deep_output else None
        self.L_o = nn.Linear(embedding, vocabulary_size)
        if settings.tied:
            self.L_o.weight = self.E.weight
        self.dropout = nn.Dropout(settings.dropout)
        self.embedding_dropout = nn.Dropout(settings.embedding_dropout)

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        memory = self.attention.remember(annotations)
        hidden = self.first_states(annotations)
        return State(memory, {name: value.unsqueeze(1).expand(-1, rows, -1) for name, value in hidden.items()})

    def step(self, state: State, tokens: Int[Tensor, "batch rows"]) -> Step:
        h, embedded = state.rows["h"], self.embedding_dropout(self.E(tokens))
        attended: Attended = self.attention(h, state.memory)
        z = attended.context if self.w_beta is None else torch.sigmoid(self.w_beta(h)) * attended.context
        hidden = self.cell.update(self.cell.project(0, embedded) + self.cell.project(1, z), state.rows)
        readout = self.L_h(self.dropout(hidden["h"]))
        if self.L_z is not None:
            readout = readout + embedded + self.L_z(z)
        following = State(state.memory, hidden, state.length + 1)
        return Step(self.dropout(readout), following, attended.weights, self.logits, attended.log_choice)

    def logits(self, readouts: Float[Tensor, "*shape readout_dim"]) -> Float[Tensor, "*shape vocabulary"]:
        logits: Tensor = self.L_o(readouts)
        return logits

    def vocabulary_layer(self) -> tuple[Tensor, Tensor | None]:
        return self.L_o.weight, self.L_o.bias

    def first_states(self, annotations: Annotations) -> Hidden:
        """h_0 and, of an LSTM, c_0, each [batch, hidden]."""
        mean = annotations.mean()
        return {name: torch.tanh(layer(mean)) for name, layer in self.start_states.items()}
