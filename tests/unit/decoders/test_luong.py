from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.attention import LocalAttention
from regard.config import parse
from regard.decoders import build_decoder
from regard.decoders.luong import LuongDecoder, LuongSettings
from regard.errors import ConfigError
from regard.scores.general import General

DIM, VOCABULARY, HIDDEN, EMBEDDING = 10, 17, 6, 5
BATCH, ROWS, TIME, POSITIONS = 3, 2, 5, 7
LENGTHS = (7, 2, 4)


def _build(**options: object) -> LuongDecoder:
    torch.manual_seed(0)
    values = {"hidden": HIDDEN, "embedding": EMBEDDING, "attention": 8, **options}
    decoder = build_decoder(parse(LuongSettings, values, origin="test"), dim=DIM, vocabulary_size=VOCABULARY)
    assert isinstance(decoder, LuongDecoder)
    return decoder.double().eval()


def _inputs() -> tuple[Annotations, Tensor]:
    torch.manual_seed(1)
    values, summary = torch.randn(BATCH, POSITIONS, DIM).double(), torch.randn(BATCH, DIM).double()
    mask = torch.arange(POSITIONS) < torch.tensor(LENGTHS).unsqueeze(1)
    return Annotations(values, mask, summary), torch.randint(VOCABULARY, (BATCH, ROWS, TIME))


def _alphas(d: LuongDecoder, h: Tensor, a: list[Tensor], t: int) -> list[Tensor]:
    """Eq. 7 over all positions (global) or the window around p_t, eq. 9 and 10 (local)."""
    score = d.attention.score
    assert isinstance(score, General)
    size, window = len(a), d.settings.window or 10
    centre = torch.tensor(float(min(t, size - 1)))
    if d.settings.kind == "local-p":
        assert isinstance(d.attention, LocalAttention)
        assert d.attention.W_p is not None
        assert d.attention.v_p is not None
        centre = size * torch.sigmoid(d.attention.v_p.weight[0] @ torch.tanh(d.attention.W_p.weight @ h))
    exponentials = []
    for i, annotation in enumerate(a):
        exponential = torch.exp(h @ (score.W.weight @ annotation))
        if d.settings.kind != "global" and abs(i - float(centre.detach())) > window:
            exponential = exponential * 0
        if d.settings.kind == "local-p":
            exponential = exponential * torch.exp(-((i - centre) ** 2) / (2 * (window / 2) ** 2))
        exponentials.append(exponential)
    return [each / sum(exponentials, torch.tensor(0.0)) for each in exponentials]


def _lstm(d: LuongDecoder, layer: int, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    weights = dict(d.cells[layer].named_parameters())
    gates = weights["weight_ih"] @ x + weights["bias_ih"] + weights["weight_hh"] @ h + weights["bias_hh"]
    i, f, g, o = gates.view(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _literal(d: LuongDecoder, a: list[Tensor], first: Tensor, words: list[int]) -> tuple[Tensor, Tensor]:
    layers = d.settings.layers
    h = list(torch.tanh(d.start_states["h"](first)).view(layers, -1))
    c = list(torch.tanh(d.start_states["c"](first)).view(layers, -1))
    read = torch.zeros(HIDDEN).double()
    logits, weights = [], []
    for t, word in enumerate(words):
        x = d.E.weight[word]
        if d.settings.input_feeding:
            x = torch.cat([x, read])
        for layer in range(layers):
            h[layer], c[layer] = _lstm(d, layer, x, h[layer], c[layer])
            x = h[layer]
        alphas = _alphas(d, x, a, t)
        context = sum((alpha * each for alpha, each in zip(alphas, a, strict=True)), torch.zeros(DIM).double())
        read = torch.tanh(d.W_c.weight @ torch.cat([context, x]))
        logits.append(d.W_s.weight @ read)
        weights.append(torch.nn.functional.pad(torch.stack(alphas), (0, POSITIONS - len(a))))
    return torch.stack(logits), torch.stack(weights)


VARIANTS = {
    "global": {},
    "unfed": {"input_feeding": False},
    "stacked": {"layers": 3},
    "stacked-unfed": {"layers": 2, "input_feeding": False},
    "local-m": {"kind": "local-m", "window": 1},
    "local-m-unfed": {"kind": "local-m", "window": 2, "input_feeding": False},
    "local-p": {"kind": "local-p", "window": 2},
    "local-p-unfed": {"kind": "local-p", "window": 1, "layers": 2, "input_feeding": False},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_equals_the_equations_written_out(variant: str) -> None:
    decoder, (annotations, tokens) = _build(**VARIANTS[variant]), _inputs()
    logits, weights = decoder(annotations, tokens)
    assert annotations.summary is not None
    parameters = list(decoder.parameters())
    literal = [
        _literal(decoder, list(annotations.values[b, :length]), annotations.summary[b], words)
        for b, length in enumerate(LENGTHS)
        for words in tokens[b].tolist()
    ]
    expected = torch.stack([one[0] for one in literal]).view_as(logits)
    torch.testing.assert_close(logits, expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(weights, torch.stack([one[1] for one in literal]).view_as(weights), atol=1e-10, rtol=0)
    noise = torch.randn_like(logits)
    ours = torch.autograd.grad((logits * noise).sum(), parameters)
    theirs = torch.autograd.grad((expected * noise).sum(), parameters)
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, atol=1e-8, rtol=0)


@torch.no_grad()
def test_a_gru_over_all_steps_equals_its_cells() -> None:
    decoder, (annotations, tokens) = _build(cell="gru", layers=2, input_feeding=False), _inputs()
    state = decoder.start(annotations, rows=ROWS)
    assert set(state.rows) == {"h"}
    logits, _ = decoder(annotations, tokens)
    for t in range(TIME):
        step = decoder.step(state, tokens[:, :, t])
        state = step.state
        torch.testing.assert_close(step.logits, logits[:, :, t], atol=1e-10, rtol=0)


@torch.no_grad()
def test_a_window_looks_no_further() -> None:
    decoder, (annotations, tokens) = _build(kind="local-m", window=1), _inputs()
    _, weights = decoder(annotations, tokens)
    for t in range(TIME):
        seen = (weights[0, 0, t] != 0).nonzero().flatten().tolist()
        assert seen == [i for i in range(POSITIONS) if abs(i - t) <= 1]


def test_the_paper_sees_ten_positions_to_each_side() -> None:
    attention = _build(kind="local-p").attention
    assert isinstance(attention, LocalAttention)
    assert attention.window == 10


def test_a_window_without_local_attention_is_refused() -> None:
    with pytest.raises(ConfigError, match="a window belongs to kind local-m or local-p, not global"):
        _build(window=3)


def test_tied_matrices_are_one() -> None:
    decoder = _build(embedding=HIDDEN, tied=True)
    assert decoder.W_s.weight is decoder.E.weight
    with pytest.raises(ConfigError, match="tied matrices with hidden 6 and embedding 5; allowed: equal sizes"):
        _build(tied=True)


def test_unequal_sizes_cannot_be_compared_by_a_dot() -> None:
    with pytest.raises(ConfigError, match="score 'dot' compares a query of 6 numbers with annotations of 10"):
        _build(score="dot")


def test_without_a_summary_the_mean_stands_in() -> None:
    decoder, (annotations, _) = _build(), _inputs()
    picture = Annotations(annotations.values)
    expected = torch.tanh(decoder.start_states["h"](annotations.values.mean(1)))
    torch.testing.assert_close(decoder.start(picture).rows["h"][:, 0, 0], expected)


@pytest.mark.parametrize("fed", [True, False])
def test_dropout_acts_in_training_alone(fed: bool) -> None:
    decoder, (annotations, tokens) = _build(dropout=0.5, layers=2, input_feeding=fed), _inputs()
    assert torch.equal(decoder(annotations, tokens)[0], decoder(annotations, tokens)[0])
    decoder.train()
    assert not torch.equal(decoder(annotations, tokens)[0], decoder(annotations, tokens)[0])


def test_the_local_gaussian_prefers_its_centre() -> None:
    """With equal scores the weights fall as the Gaussian does: by e^(−2 d²/D²) at distance d."""
    decoder, (annotations, tokens) = _build(kind="local-p", window=4), _inputs()
    with torch.no_grad():
        decoder.get_parameter("attention.score.W.weight").zero_()
        decoder.get_parameter("attention.v_p.weight").zero_()
    _, weights = decoder(annotations, tokens)
    row = weights[0, 0, 0]  # p_t = 7 · σ(0) = 3.5
    assert float(row[3].detach()) == pytest.approx(float(row[4].detach()))
    assert float((row[5] / row[4]).detach()) == pytest.approx(math.exp(-2 * (1.5**2 - 0.5**2) / 16))
