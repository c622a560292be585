"""What a fast path does not know takes the plain path: nothing is computed by another formula in silence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from regard.annotations import Annotations
from regard.decoders import Decoder
from regard.decoders.attend import AttendDecoder, AttendSettings
from regard.decoders.cells import Cell, Hidden, LSTMCell
from regard.decoders.luong import LuongDecoder, LuongSettings
from regard.decoders.rnnsearch import RnnSearchDecoder, RnnSearchSettings
from regard.fast import for_training
from regard.scores import Score
from regard.scores.additive import Additive
from regard.search import SearchOptions, SpecialTokens, search

DIM, VOCABULARY, BATCH, ROWS, TIME = 9, 11, 3, 2, 5


class Cosine(Score):
    """qᵀk / (|q| |k|), which no fast path knows."""

    def __init__(self, query_dim: int, dim: int, *, attention_dim: int) -> None:
        super().__init__()
        self.key_dim = dim

    def keys(self, values: Tensor) -> Tensor:
        return F.normalize(values, dim=-1)

    def query(self, query: Tensor) -> Tensor:
        return F.normalize(query, dim=-1)

    def compare(self, query: Tensor, keys: Tensor) -> Tensor:
        return query @ keys.transpose(1, 2) * 3


class Squared(Additive):
    """vᵀ tanh²(W q + U k): a subclass of a score that the fast paths know."""

    def compare(self, query: Tensor, keys: Tensor) -> Tensor:
        return torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1)).square() @ self.v


class Leaking(LSTMCell):
    """An LSTM that forgets a tenth more: a subclass of a cell that the fast paths know."""

    def update(self, gates: Tensor, hidden: Hidden) -> Hidden:
        return {name: 0.9 * value for name, value in super().update(gates, hidden).items()}


def cosine() -> Score:
    return Cosine(DIM, DIM, attention_dim=8)


def attend(score: Score | None = None, cell: Cell | None = None) -> Decoder:
    decoder = AttendDecoder(
        AttendSettings(embedding=7, hidden=DIM, attention=8, dropout=0), dim=DIM, vocabulary_size=VOCABULARY
    )
    decoder.attention.score = score or decoder.attention.score
    decoder.cell = cell or decoder.cell
    return decoder


def rnnsearch(score: Score) -> Decoder:
    decoder = RnnSearchDecoder(
        RnnSearchSettings(embedding=7, hidden=DIM, attention=8, readout=4), dim=DIM, vocabulary_size=VOCABULARY
    )
    decoder.attention.score = score
    return decoder


def luong(score: Score, *, input_feeding: bool) -> Decoder:
    decoder = LuongDecoder(
        LuongSettings(embedding=7, hidden=DIM, attention=8, input_feeding=input_feeding),
        dim=DIM,
        vocabulary_size=VOCABULARY,
    )
    decoder.attention.score = score
    return decoder


CASES = {
    "attend, cosine": lambda: attend(cosine()),
    "attend, a subclass of additive": lambda: attend(Squared(DIM, DIM, attention_dim=8)),
    "attend, a subclass of the LSTM": lambda: attend(cell=Leaking((7, DIM), DIM)),
    "rnnsearch, cosine": lambda: rnnsearch(cosine()),
    "luong, cosine": lambda: luong(cosine(), input_feeding=True),
    "luong without input feeding, cosine": lambda: luong(cosine(), input_feeding=False),
}


@pytest.fixture(params=CASES)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    torch.manual_seed(0)
    built = CASES[request.param]().eval()
    for parameter in built.parameters():
        torch.nn.init.uniform_(parameter, -0.6, 0.6)
    return built


@pytest.fixture
def annotations() -> Annotations:
    values = torch.randn(BATCH, 6, DIM, generator=torch.Generator().manual_seed(1))
    return Annotations(values, torch.arange(6) < torch.tensor([6, 2, 4]).unsqueeze(1))


def stepped(decoder: Decoder, annotations: Annotations, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and weights by the decoder's own steps, which are the definition."""
    state, logits, weights = decoder.start(annotations, rows=ROWS), [], []
    for each in tokens.unbind(dim=2):
        step = decoder.step(state, each)
        state = step.state
        logits.append(step.logits)
        weights.append(step.weights)
    return torch.stack(logits, dim=2), torch.stack(weights, dim=2)


def test_training_equals_stepping(decoder, annotations, monkeypatch):
    monkeypatch.setenv("REGARD_REFERENCE", "0")
    tokens = torch.randint(0, VOCABULARY, (BATCH, ROWS, TIME), generator=torch.Generator().manual_seed(2))
    logits, weights = stepped(decoder, annotations, tokens)
    trace = for_training(decoder).trace(annotations, tokens)
    torch.testing.assert_close(decoder.logits(trace.readouts), logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(trace.weights, weights, atol=1e-5, rtol=1e-5)


def test_search_equals_searching_with_the_decoder_itself(decoder, annotations, monkeypatch):
    options, found = SearchOptions(beam=3, max_length=6), []
    for reference in ("0", "1"):
        monkeypatch.setenv("REGARD_REFERENCE", reference)
        found.append([best for best, *_ in search(decoder, annotations, options, tokens=SpecialTokens())])
    for ours, theirs in zip(*found, strict=True):
        assert ours.tokens == theirs.tokens
        torch.testing.assert_close(ours.weights, theirs.weights, atol=1e-5, rtol=1e-5)
