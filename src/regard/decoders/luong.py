"""``luong``: attention after the recurrent step (Luong, Pham & Manning 2015), global or local, with any score.

    h_t = LSTM([E y_{t−1}; h̃_{t−1}], h_{t−1})      §3.3; E y_{t−1} alone without input feeding
    α_t = softmax(score(h_t, a_i))                  eq. 7; local-m and local-p: :class:`regard.attention.LocalAttention`
    c_t = Σ_i α_ti a_i
    h̃_t = tanh(W_c [c_t; h_t])                      eq. 5
    p_t = softmax(W_s h̃_t)                          eq. 6

Without input feeding no attention stands between two recurrent steps, so the network reads the whole target in one go
and all steps look at once. Differences: the states begin at tanh of a learned map of the encoder's summary (of the mean
annotation where it has none), because encoder and decoder need not have one shape, and h̃_0 is 0; a GRU may stand in
for the LSTM; W_s may share its matrix with E. On a picture the window of local attention slides over its regions row by
row.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.attention import Attended, Attention, LocalAttention, Memory, ScoreName
from regard.config import Settings
from regard.decoders.base import Decoder, State, Step, Trace
from regard.decoders.cells import Cell, CellName, Hidden, build_cell, hidden_names
from regard.errors import ConfigError
from regard.fast.training.active_blocks import active_blocks, stack_steps
from regard.fast.training.scan_operands import read_cell
from regard.ops import steps_plainly
from regard.ops.dropout import Dropout
from regard.ops.packing import Packing, pack_targets


class LuongSettings(Settings):
    """Settings of the ``luong`` decoder."""

    name: Literal["luong"] = "luong"
    embedding: int = Field(256, ge=1, le=8192)
    hidden: int = Field(512, ge=1, le=8192)
    layers: int = Field(1, ge=1, le=64)
    cell: CellName = "lstm"
    attention: int = Field(512, ge=1, le=8192)
    """Numbers inside the additive and the concat score."""
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
    """Reads a word, then looks at the annotations from where that led.

    Args:
        settings: sizes and options.
        dim: size of one annotation.
        vocabulary_size: number of tokens.

    Raises:
        ConfigError: a dot score or tied matrices with unequal sizes.
    """

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
        self._cell(0).expect_small(0, embedding**-0.5)
        states = settings.layers * hidden
        self.start_states = nn.ModuleDict({name: nn.Linear(dim, states) for name in hidden_names(settings.cell)})
        self.attention = _build_attention(settings, dim)
        self.W_c = nn.Linear(dim + hidden, hidden, bias=False)
        self.W_s = nn.Linear(hidden, vocabulary_size, bias=False)
        if settings.tied:
            self.W_s.weight = self.E.weight
        self.dropout = Dropout(settings.dropout)
        self.embedding_dropout = Dropout(settings.embedding_dropout)

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        state = self.first_states(annotations, rows)
        if self.settings.input_feeding:
            state["fed"] = torch.zeros_like(state["h"][:, :, 0])
        return State(self.attention.remember(annotations), state)

    def step(self, state: State, tokens: Tensor) -> Step:
        gates = self._cell(0).project(0, self.E(tokens))
        if self.settings.input_feeding:
            gates = gates + self._cell(0).project(1, state.rows["fed"])
        layers = self._recur(gates, self._unstack(state.rows))
        steps = torch.full(tokens.shape[1:], state.length, device=tokens.device)
        read, look = self._look(layers[-1]["h"], state.memory, steps)
        following = {name: torch.stack([layer[name] for layer in layers], dim=2) for name in self.start_states}
        if self.settings.input_feeding:
            following["fed"] = read
        return Step(self.logits(self.dropout(read)), State(state.memory, following, state.length + 1), look.weights)

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        memory = self.attention.remember(annotations)
        batch, rows, time = tokens.shape
        if self.settings.input_feeding:
            embedded = self.embedding_dropout(self.E(tokens))
            return self._trace_fed(memory, self.first_states(annotations, rows), embedded, lengths)
        packing = pack_targets(lengths, batch=batch, rows=rows, time=time, device=tokens.device)
        h = self._read_all(self.embedding_dropout(self.E(packing.pack(tokens))), annotations, packing)
        steps = torch.arange(time, device=tokens.device).repeat(rows)
        read, look = self._look(h.flatten(1, 2), memory, steps)
        sizes = (-1, rows, time)
        return Trace(self.dropout(read.view(*sizes, read.shape[-1])), look.weights.view(*sizes, look.weights.shape[-1]))

    def logits(self, readouts: Tensor) -> Tensor:
        logits: Tensor = self.W_s(readouts)
        return logits

    def vocabulary_layer(self) -> tuple[Tensor, Tensor | None]:
        return self.W_s.weight, self.W_s.bias

    def _trace_fed(self, memory: Memory, initial: Hidden, embedded: Tensor, lengths: Tensor | None) -> Trace:
        shape = dict(zip(("batch", "rows", "time"), embedded.shape[:3], strict=True))
        words = self._cell(0).project(0, embedded).unbind(dim=2)
        fed_columns = self._cell(0).columns(1)  # sliced once: every slice would cost a whole matrix of zeros backward
        layers, read = self._unstack(initial), torch.zeros_like(initial["h"][:, :, 0])
        reads: list[Tensor] = []
        weights: list[Tensor] = []
        for t, (inputs, columns) in enumerate(active_blocks(lengths, **shape)):
            if not inputs:
                break
            layers = [{name: value[:inputs, :columns] for name, value in layer.items()} for layer in layers]
            gates = words[t][:inputs, :columns] + nn.functional.linear(read[:inputs, :columns], fed_columns)
            layers = self._recur(gates, layers)
            steps = torch.full((columns,), t, device=embedded.device)
            read, look = self._look(layers[-1]["h"], memory.first(inputs), steps)
            reads.append(read)
            weights.append(look.weights)
        return Trace(self.dropout(stack_steps(reads, **shape)), stack_steps(weights, **shape))

    def first_states(self, annotations: Annotations, rows: int) -> Hidden:
        """The states of all layers before the first word, each [batch, rows, layers, hidden]."""
        vector, layers = annotations.vector(), self.settings.layers
        states = {name: torch.tanh(layer(vector)) for name, layer in self.start_states.items()}
        return {
            name: state.view(-1, 1, layers, self.settings.hidden).expand(-1, rows, -1, -1)
            for name, state in states.items()
        }

    def _unstack(self, states: Hidden) -> list[Hidden]:
        """One hidden state per layer, each [batch, rows, hidden]."""
        return [{name: states[name][:, :, i] for name in self.start_states} for i in range(self.settings.layers)]

    def _recur(self, gates: Tensor, layers: list[Hidden]) -> list[Hidden]:
        """One step of every layer, from what the bottom layer's input adds to its gates."""
        following = [self._cell(0).update(gates, layers[0])]
        for i, hidden in enumerate(layers[1:], start=1):
            below = self.dropout(following[-1]["h"])
            following.append(self._cell(i).update(self._cell(i).project(0, below), hidden))
        return following

    def _read_all(self, embedded: Tensor, annotations: Annotations, packing: Packing) -> Tensor:
        """h_t of the top layer at every step, [batch, rows, time, hidden], from E y [tokens, embedding], packed."""
        if steps_plainly(embedded.device):
            return self._read_plainly(packing.unpack(embedded), self.first_states(annotations, packing.shape[1]))
        layers = self._unstack(self.first_states(annotations, 1))
        h = embedded
        for i, first in enumerate(layers):
            below = self.dropout(h) if i else h
            states = {name: state.squeeze(1) for name, state in first.items()}
            h = read_cell(self._cell(i), self._cell(i).project(0, below), states, packing)
        return packing.unpack(h)

    def _read_plainly(self, embedded: Tensor, initial: Hidden) -> Tensor:
        """The same by PyTorch's own recurrent operation, padding included."""
        cells = [self._cell(i) for i in range(self.settings.layers)]
        weights: list[Tensor] = []
        for cell in cells:
            weights += (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
        first = [initial[name].flatten(0, 1).transpose(0, 1).contiguous() for name in self.start_states]
        words = embedded.flatten(0, 1)
        options = (weights, True, len(cells), self.dropout.p, self.training, False, True)
        h = torch.lstm(words, first, *options)[0] if len(first) == 2 else torch.gru(words, first[0], *options)[0]
        return h.view(*embedded.shape[:3], -1)

    def _look(self, h: Tensor, memory: Memory, steps: Tensor) -> tuple[Tensor, Attended]:
        """h̃_t [batch, rows, hidden] from h_t of the same shape, and the look."""
        look: Attended = self.attention(h, memory, steps)
        return torch.tanh(self.W_c(torch.cat([look.context, h], dim=-1))), look

    def _cell(self, layer: int) -> Cell:
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
