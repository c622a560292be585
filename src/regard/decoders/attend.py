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

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.attention import Attended, Attention, HardAttention, Memory, ScoreName
from regard.config import Settings
from regard.decoders.base import Decoder, State, Step, Trace
from regard.decoders.cells import CellName, Hidden, build_cell, hidden_names
from regard.fast.training.active_blocks import stack_steps
from regard.fast.training.scan_operands import (
    is_known_attention,
    is_known_cell,
    multiply_first,
    query_operands,
    score_scale,
)
from regard.ops import steps_plainly
from regard.ops.attention_scan import Operands, Walk, attend
from regard.ops.dropout import Dropout
from regard.ops.linear import Linear, linear
from regard.ops.packing import Packing, pack_targets, share_prefixes


class AttendSettings(Settings):
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
    """Looks at the annotations before every word.

    Args:
        settings: sizes and options.
        dim: size of one annotation.
        vocabulary_size: number of tokens.

    Raises:
        ConfigError: a dot score with unequal sizes.
    """

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
        self.L_h = Linear(hidden, embedding)
        self.L_z = Linear(dim, embedding, bias=False) if settings.deep_output else None
        self.L_o = nn.Linear(embedding, vocabulary_size)
        if settings.tied:
            self.L_o.weight = self.E.weight
        self.dropout = Dropout(settings.dropout)
        self.embedding_dropout = Dropout(settings.embedding_dropout)

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        memory = self.attention.remember(annotations)
        hidden = self.first_states(annotations)
        return State(memory, {name: value.unsqueeze(1).expand(-1, rows, -1) for name, value in hidden.items()})

    def step(self, state: State, tokens: Tensor) -> Step:
        embedded = self.E(tokens)
        hidden, attended = self._advance(state.memory, state.rows, self.cell.project(0, embedded))
        beside = None if self.L_z is None else embedded + self.L_z(attended.context)
        readout = self._readout(hidden["h"], beside)
        following = State(state.memory, hidden, state.length + 1)
        return Step(self.logits(readout), following, attended.weights)

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        batch, rows, time = tokens.shape
        packing = pack_targets(lengths, batch=batch, rows=rows, time=time, device=tokens.device)
        of_words, of_context = self.cell.matrices()
        if steps_plainly(tokens.device) or not (is_known_attention(self.attention) and is_known_cell(self.cell)):
            embedded, gates = self._read(packing.pack(tokens), of_words)
            h, looked, weights, log_choices = self._step_through(annotations, gates, packing)
            beside = None if looked is None else embedded + looked
            return Trace(packing.unpack(self._readout(h, beside)), weights, log_choices)
        walked, places = packing, None
        if rows > 1 and not self._drops_words:
            walked, places = share_prefixes(packing, packing.pack(tokens))
        embedded, gates = self._read(walked.pack(tokens), of_words)
        h, looked, weights = self._walk(annotations, gates, of_context, walked)
        beside = None if looked is None else embedded + looked
        if places is not None:
            h, weights = h.index_select(0, places), weights.index_select(0, places)
            beside = None if beside is None else beside.index_select(0, places)
        return Trace(packing.unpack(self._readout(h, beside)), packing.unpack(weights))

    @property
    def _drops_words(self) -> bool:
        """Whether a word is not the same everywhere, because a part of its embedding is dropped."""
        return self.training and self.embedding_dropout.p > 0

    def _read(self, tokens: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """E y and its share in the gates of tokens [tokens]; each word is multiplied once if dropout allows."""
        if self._drops_words or steps_plainly(tokens.device):
            embedded: Tensor = self.embedding_dropout(self.E(tokens))
            return embedded, linear(embedded, matrix, self.cell.bias_ih)
        words, places = torch.unique(tokens, return_inverse=True)
        embedded = self.E(words)
        gates = linear(embedded, matrix, self.cell.bias_ih)
        # the gradient of an embedding is summed faster than that of an index
        return nn.functional.embedding(places, embedded), nn.functional.embedding(places, gates)

    def _walk(
        self, annotations: Annotations, gates: Tensor, matrix: Tensor, packing: Packing
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """h, L_z z and α of all tokens, packed."""
        memory, hidden = self.attention.remember(annotations), self.first_states(annotations)
        shared = multiply_first(memory.values, len(matrix), packing)
        values = linear(memory.values, matrix) if shared else memory.values
        first = {name: value.index_select(0, packing.first_inputs) for name, value in hidden.items()}
        operands = Operands(
            words=gates,
            h=first["h"],
            c=first.get("c"),
            keys=memory.keys,
            values=values,
            of_state=self.cell.weight_hh,
            bias=self.cell.bias_hh,
            W_c=None if shared else matrix,
            w_beta=None if self.w_beta is None else self.w_beta.weight,
            b_beta=None if self.w_beta is None else self.w_beta.bias,
            **query_operands(self.attention.score),
        )
        walk = Walk(packing, self.settings.cell, mask=memory.mask, scale=score_scale(self.attention.score))
        h, weights, beta = attend(walk, operands)
        return h, self._looked(memory.values, weights if beta is None else weights * beta, packing), weights

    def _looked(self, values: Tensor, paid: Tensor, packing: Packing) -> Tensor | None:
        """L_z z [tokens, embedding], of the weights times the gate [tokens, position]."""
        if self.L_z is None:
            return None
        by_input = packing.to_inputs(paid)
        if values.shape[0] * values.shape[1] < len(packing):
            return packing.from_inputs(by_input @ self.L_z(values))
        looked: Tensor = self.L_z(packing.from_inputs(by_input @ values))
        return looked

    def _step_through(
        self, annotations: Annotations, gates: Tensor, packing: Packing
    ) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None]:
        """The same one step after the other, and log-probabilities of hard choices [batch, rows, time]."""
        batch, rows, time = packing.shape
        memory = self.attention.remember(annotations)
        hidden = {name: value.unsqueeze(1) for name, value in self.first_states(annotations).items()}
        hidden = {name: value.expand(-1, rows, -1) for name, value in hidden.items()}
        padded = packing.unpack(gates)
        states, looks = [], []
        for t, step in enumerate(packing.steps):
            hidden = {name: value[: step.inputs, : step.columns] for name, value in hidden.items()}
            block = padded[: step.inputs, : step.columns, t]
            hidden, attended = self._advance(memory.first(step.inputs), hidden, block)
            states.append(hidden["h"])
            looks.append(attended)
        shape = {"batch": batch, "rows": rows, "time": time}
        z = packing.pack(stack_steps([look.context for look in looks], **shape))
        choices = [look.log_choice for look in looks if look.log_choice is not None]
        return (
            packing.pack(stack_steps(states, **shape)),
            None if self.L_z is None else self.L_z(z),
            stack_steps([look.weights for look in looks], **shape),
            stack_steps(choices, **shape) if choices else None,
        )

    def logits(self, readouts: Tensor) -> Tensor:
        logits: Tensor = self.L_o(readouts)
        return logits

    def vocabulary_layer(self) -> tuple[Tensor, Tensor | None]:
        return self.L_o.weight, self.L_o.bias

    def first_states(self, annotations: Annotations) -> Hidden:
        """h_0 and, of an LSTM, c_0, each [batch, hidden]."""
        mean = annotations.mean()
        return {name: torch.tanh(layer(mean)) for name, layer in self.start_states.items()}

    def _advance(self, memory: Memory, hidden: Hidden, gates: Tensor) -> tuple[Hidden, Attended]:
        """One look and one recurrent step; the returned context is z_t, the gate applied."""
        look: Attended = self.attention(hidden["h"], memory)
        context = look.context
        if self.w_beta is not None:
            context = torch.sigmoid(self.w_beta(hidden["h"])) * context
        hidden = self.cell.update(gates + self.cell.project(1, context), hidden)
        return hidden, Attended(context, look.weights, look.log_choice)

    def _readout(self, h: Tensor, beside: Tensor | None) -> Tensor:
        """L_h h_t and, with the deep output, E y_{t-1} + L_z z_t beside it."""
        readout = self.L_h(self.dropout(h))
        if beside is not None:
            readout = readout + beside
        dropped: Tensor = self.dropout(readout)
        return dropped
