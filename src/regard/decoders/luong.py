"""``luong``: attention after the recurrent step (Luong, Pham & Manning 2015), global or local, with any score.

    h_t = LSTM([E y_{t−1}; h̃_{t−1}], h_{t−1})      §3.3; E y_{t−1} alone without input feeding
    α_t = softmax(score(h_t, a_i))                  eq. 7; local-m and local-p: :class:`regard.attention.LocalAttention`
    c_t = Σ_i α_ti a_i
    h̃_t = tanh(W_c [c_t; h_t])                      eq. 5
    p_t = softmax(W_s h̃_t)                          eq. 6

Differences: the states begin at tanh of a learned map of the encoder's summary (of the mean
annotation where it has none), because encoder and decoder need not have one shape, and h̃_0 is 0; a GRU may stand in
for the LSTM; W_s may share its matrix with E. On a picture the window of local attention slides over its regions row by
row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.attention import Attended, Attention, LocalAttention
from regard.config import PartSettings
from regard.decoders.base import Decoder, State, Step
from regard.decoders.cells import Cell, CellName, Hidden, build_cell, hidden_names
from regard.errors import ConfigError
from regard.scores import ScoreName

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class LuongSettings(PartSettings):
    """Settings of the ``luong`` decoder."""

    name: Literal["luong"] = "luong"
    embedding: int = Field(256, ge=1, le=8192)
    hidden: int = Field(512, ge=1, le=8192)
    layers: int = Field(1, ge=1, le=64)
    cell: CellName = "lstm"
    attention: int = Field(512, ge=1, le=8192)
    """Size of the projections of the additive and the concat score."""
    score: ScoreName = "general"
    kind: Literal["global", "local-m", "local-p"] = "global"
    window: int | None = Field(None, ge=1, le=10_000)
    """D of local attention, which sees 2D + 1 positions; 10, as in the paper, when none is given."""
    input_feeding: bool = True
    tied: bool = False
    """W_s shares its matrix with E, for which ``hidden`` equals ``embedding``."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Between layers and on h̃ before W_s."""
    embedding_dropout: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _window_is_used(self) -> Self:
        if self.kind == "global" and self.window is not None:
            raise ValueError("a window belongs to kind local-m or local-p, not global")
        return self


class LuongDecoder(Decoder):
    """Attention after the recurrent step.

    Args:
        settings: sizes and options.
        dim: size of one annotation.
        vocabulary_size: number of tokens.

    Raises:
        ConfigError: a dot score or tied matrices with unequal sizes.
    """

    settings_class = LuongSettings

    def __init__(self, settings: LuongSettings, *, dim: int, vocabulary_size: int) -> None:
        super().__init__()
        if settings.tied and settings.hidden != settings.embedding:
            raise ConfigError(
                f"tied matrices with hidden {settings.hidden} and embedding {settings.embedding}",
                allowed="equal sizes",
                remedy="set hidden to the size of the embedding, or tied: false",
            )
        self.settings = settings
        self.vocabulary_size = vocabulary_size
        hidden, embedding = settings.hidden, settings.embedding
        self.E = nn.Embedding(vocabulary_size, embedding)
        nn.init.normal_(self.E.weight, std=embedding**-0.5)
        bottom = (embedding, hidden) if settings.input_feeding else (embedding,)
        parts = [bottom, *[(hidden,)] * (settings.layers - 1)]
        self.cells = nn.ModuleList(build_cell(settings.cell, each, hidden) for each in parts)
        self.layer(0).expect_small(0, embedding**-0.5)
        states = settings.layers * hidden
        self.start_states = nn.ModuleDict({name: nn.Linear(dim, states) for name in hidden_names(settings.cell)})
        self.attention = _build_attention(settings, dim)
        self.W_c = nn.Linear(dim + hidden, hidden, bias=False)
        self.W_s = nn.Linear(hidden, vocabulary_size, bias=False)
        if settings.tied:
            self.W_s.weight = self.E.weight
        self.dropout = nn.Dropout(settings.dropout)
        self.embedding_dropout = nn.Dropout(settings.embedding_dropout)

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        state = self.first_states(annotations, rows)
        if self.settings.input_feeding:
            state["fed"] = torch.zeros_like(state["h"][:, :, 0])
        return State(self.attention.remember(annotations), state)

    def step(self, state: State, tokens: Int[Tensor, "batch rows"]) -> Step:
        gates = self.layer(0).project(0, self.embedding_dropout(self.E(tokens)))
        if self.settings.input_feeding:
            gates = gates + self.layer(0).project(1, state.rows["fed"])
        layers = self.recur(gates, self.unstack(state.rows))
        steps = torch.full(tokens.shape[1:], state.length, device=tokens.device)
        attended: Attended = self.attention(layers[-1]["h"], state.memory, steps)
        readout = self.readout(layers[-1]["h"], attended.context)
        following = {name: torch.stack([layer[name] for layer in layers], dim=2) for name in self.start_states}
        if self.settings.input_feeding:
            following["fed"] = readout
        following_state = State(state.memory, following, state.length + 1)
        return Step(self.dropout(readout), following_state, attended.weights, self.logits)

    def logits(self, readouts: Float[Tensor, "*shape readout_dim"]) -> Float[Tensor, "*shape vocabulary"]:
        logits: Tensor = self.W_s(readouts)
        return logits

    def vocabulary_layer(self) -> tuple[Tensor, Tensor | None]:
        return self.W_s.weight, self.W_s.bias

    def first_states(self, annotations: Annotations, rows: int) -> Hidden:
        """The states of all layers before the first word, each [batch, rows, layers, hidden]."""
        vector, layers = annotations.vector(), self.settings.layers
        states = {name: torch.tanh(layer(vector)) for name, layer in self.start_states.items()}
        return {
            name: state.view(-1, 1, layers, self.settings.hidden).expand(-1, rows, -1, -1)
            for name, state in states.items()
        }

    def unstack(self, states: Hidden) -> list[Hidden]:
        """One hidden state per layer, each [batch, rows, hidden]."""
        return [{name: states[name][:, :, i] for name in self.start_states} for i in range(self.settings.layers)]

    def recur(self, gates: Float[Tensor, "batch rows gates"], layers: list[Hidden]) -> list[Hidden]:
        """One step of every layer, from what the bottom layer's input adds to its gates."""
        following = [self.layer(0).update(gates, layers[0])]
        for i, hidden in enumerate(layers[1:], start=1):
            below = self.dropout(following[-1]["h"])
            following.append(self.layer(i).update(self.layer(i).project(0, below), hidden))
        return following

    def readout(
        self, h: Float[Tensor, "batch rows hidden"], context: Float[Tensor, "batch rows dim"]
    ) -> Float[Tensor, "batch rows hidden"]:
        """h̃_t = tanh(W_c [c_t; h_t]), [..., hidden]."""
        return torch.tanh(self.W_c(torch.cat([context, h], dim=-1)))

    def layer(self, layer: int) -> Cell:
        cell = self.cells[layer]
        assert isinstance(cell, Cell), "the list holds cells"
        return cell


def _build_attention(settings: LuongSettings, dim: int) -> Attention:
    if settings.kind == "global":
        return Attention(settings.hidden, dim, score=settings.score, attention_dim=settings.attention)
    return LocalAttention(
        settings.hidden,
        dim,
        window=settings.window or 10,
        predictive=settings.kind == "local-p",
        score=settings.score,
        attention_dim=settings.attention,
    )
