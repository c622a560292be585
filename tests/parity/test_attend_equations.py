"""The equations of ``attend``, ``repeat`` and ``feedback``, written out with loops from the papers.

Nothing of the package's own arithmetic is used: parameters are copied out as tables of numbers, every sum is a loop and
every product a product of two numbers, one caption of one input at a time.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.decoders.attend import AttendDecoder, AttendSettings
from regard.decoders.single_vector import FeedbackDecoder, FeedbackSettings, RepeatDecoder, RepeatSettings
from regard.scores import SCORES

DIM, VOCABULARY = 5, 7
POSITIONS = (4, 1, 3)

Vector = list[float]
Table = dict[str, list]


# --- arithmetic on lists -----------------------------------------------------------------------------------------


def product(matrix: list[Vector], vector: Vector) -> Vector:
    return [sum(m * x for m, x in zip(row, vector, strict=True)) for row in matrix]


def add(*vectors: Vector) -> Vector:
    return [sum(numbers) for numbers in zip(*vectors, strict=True)]


def times(one: Vector, other: Vector) -> Vector:
    return [x * y for x, y in zip(one, other, strict=True)]


def dot(one: Vector, other: Vector) -> float:
    return sum(times(one, other))


def tanh(vector: Vector) -> Vector:
    return [math.tanh(x) for x in vector]


def sigma(vector: Vector) -> Vector:
    return [1 / (1 + math.exp(-x)) for x in vector]


def softmax(scores: Vector) -> Vector:
    powers = [math.exp(e) for e in scores]
    return [power / sum(powers) for power in powers]


def mean(vectors: list[Vector]) -> Vector:
    return [sum(numbers) / len(vectors) for numbers in zip(*vectors, strict=True)]


def parameters_of(decoder: nn.Module) -> Table:
    return {name: parameter.tolist() for name, parameter in decoder.named_parameters(remove_duplicate=False)}


# --- recurrent steps ---------------------------------------------------------------------------------------------


def affine_gates(p: Table, x: Vector, h: Vector, count: int) -> tuple[list[Vector], list[Vector]]:
    """W x + b and U h + b', each cut into its gates."""
    from_x = add(product(p["cell.weight_ih"], x), p["cell.bias_ih"])
    from_h = add(product(p["cell.weight_hh"], h), p["cell.bias_hh"])
    n = len(h)
    return ([part[g * n : (g + 1) * n] for g in range(count)] for part in (from_x, from_h))


def lstm(p: Table, x: Vector, h: Vector, c: Vector) -> tuple[Vector, Vector]:
    """Xu 2015, eq. 1–3: gates from [input; h_{t-1}], then memory, then state."""
    from_x, from_h = affine_gates(p, x, h, 4)
    i, f, g, o = (add(one, other) for one, other in zip(from_x, from_h, strict=True))
    c = add(times(sigma(f), c), times(sigma(i), tanh(g)))
    return times(sigma(o), tanh(c)), c


def gru(p: Table, x: Vector, h: Vector) -> Vector:
    (x_r, x_z, x_n), (h_r, h_z, h_n) = affine_gates(p, x, h, 3)
    r, z = sigma(add(x_r, h_r)), sigma(add(x_z, h_z))
    n = tanh(add(x_n, times(r, h_n)))
    return [(1 - z_k) * n_k + z_k * h_k for z_k, n_k, h_k in zip(z, n, h, strict=True)]


def recur(p: Table, cell: str, x: Vector, h: Vector, c: Vector) -> tuple[Vector, Vector]:
    return lstm(p, x, h, c) if cell == "lstm" else (gru(p, x, h), c)


# --- attend ------------------------------------------------------------------------------------------------------


def score(p: Table, name: str, h: Vector, a_i: Vector) -> float:
    """e_ti, for each way to compare (Luong 2015 eq. 8; Bahdanau 2015 A.1.2; Vaswani 2017 eq. 1)."""
    prefix = "attention.score."
    if name == "dot":
        return dot(h, a_i)
    if name == "scaled_dot":
        return dot(h, a_i) / math.sqrt(len(h))
    if name == "general":
        return dot(h, product(p[prefix + "W.weight"], a_i))
    if name == "concat":
        return dot(p[prefix + "v"], tanh(product(p[prefix + "W.weight"], h + a_i)))
    inside = add(product(p[prefix + "W.weight"], h), product(p[prefix + "U.weight"], a_i))
    return dot(p[prefix + "v"], tanh(inside))


def attend(p: Table, settings: AttendSettings, a: list[Vector], words: list[int]) -> tuple[list[Vector], list[Vector]]:
    """Logits and weights of every step for one caption of the annotations ``a``."""
    average = mean(a)
    h, c = (
        tanh(add(product(p[f"start_states.{name}.weight"], average), p[f"start_states.{name}.bias"]))
        if f"start_states.{name}.weight" in p
        else []
        for name in ("h", "c")
    )
    logits, weights = [], []
    for y in words:
        embedded = p["E.weight"][y]
        alpha = softmax([score(p, settings.score, h, a_i) for a_i in a])
        if settings.kind == "hard":
            z = a[alpha.index(max(alpha))]
        else:
            z = [sum(alpha[i] * a[i][k] for i in range(len(a))) for k in range(DIM)]
        if settings.gate:
            beta = sigma(add(product(p["w_beta.weight"], h), p["w_beta.bias"]))[0]
            z = [beta * z_k for z_k in z]
        h, c = recur(p, settings.cell, embedded + z, h, c)
        readout = add(product(p["L_h.weight"], h), p["L_h.bias"])
        if settings.deep_output:
            readout = add(readout, embedded, product(p["L_z.weight"], z))
        logits.append(add(product(p["L_o.weight"], readout), p["L_o.bias"]))
        weights.append(alpha)
    return logits, weights


# --- the comparison ----------------------------------------------------------------------------------------------


@pytest.fixture
def annotations() -> Annotations:
    values = torch.randn(len(POSITIONS), max(POSITIONS), DIM, generator=torch.Generator().manual_seed(0))
    return Annotations(values, torch.arange(max(POSITIONS)) < torch.tensor(POSITIONS).unsqueeze(1))


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(0, VOCABULARY, (len(POSITIONS), 2, 4), generator=torch.Generator().manual_seed(1))


def spread(decoder: nn.Module) -> None:
    """Parameters large enough that no nonlinearity is close to a line."""
    torch.manual_seed(2)
    for parameter in decoder.parameters():
        nn.init.uniform_(parameter, -0.9, 0.9)


def real_positions(annotations: Annotations) -> list[list[Vector]]:
    return [values[:count].tolist() for values, count in zip(annotations.values, POSITIONS, strict=True)]


def assert_equal(ours: Tensor, theirs: list[Vector]) -> None:
    torch.testing.assert_close(ours, torch.tensor(theirs), atol=1e-5, rtol=1e-5)


ATTEND = [
    *(
        {"score": score, "kind": kind, "cell": cell}
        for score, kind, cell in itertools.product(list(SCORES), ("soft", "hard"), ("lstm", "gru"))
    ),
    *(
        {"gate": gate, "deep_output": deep, "tied": tied}
        for gate, deep, tied in itertools.product((True, False), repeat=3)
    ),
]


@pytest.mark.parametrize("values", ATTEND, ids=lambda values: "-".join(str(value) for value in values.values()))
def test_attend_equals_its_equations(values, annotations, tokens):
    hidden = DIM if "dot" in values.get("score", "") else 3
    settings = AttendSettings(embedding=4, hidden=hidden, attention=6, **values)
    decoder = AttendDecoder(settings, dim=DIM, vocabulary_size=VOCABULARY).eval()
    spread(decoder)
    logits, weights = decoder(annotations, tokens)
    p = parameters_of(decoder)
    for b, a in enumerate(real_positions(annotations)):
        for r, words in enumerate(tokens[b].tolist()):
            expected_logits, expected_weights = attend(p, settings, a, words)
            assert_equal(logits[b, r], expected_logits)
            assert_equal(weights[b, r, :, : len(a)], expected_weights)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("size", [None, 2])
def test_repeat_equals_its_equations(cell, size, annotations, tokens):
    """h_t = LSTM(x, h_{t-1}), h_0 = 0, p_t = softmax(W h_t)."""
    decoder = RepeatDecoder(
        RepeatSettings(hidden=3, cell=cell, image_vector=size), dim=DIM, vocabulary_size=VOCABULARY
    ).eval()
    spread(decoder)
    logits, _ = decoder(annotations, tokens)
    p = parameters_of(decoder)
    for b, a in enumerate(real_positions(annotations)):
        x = narrowed(p, mean(a), size)
        h, c = [0.0] * 3, [0.0] * 3
        for t in range(tokens.shape[2]):
            h, c = recur(p, cell, x, h, c)
            for r in range(tokens.shape[1]):
                assert_equal(logits[b, r, t], add(product(p["W.weight"], h), p["W.bias"]))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(("size", "tied"), [(None, True), (2, False)])
def test_feedback_equals_its_equations(cell, size, tied, annotations, tokens):
    """h_0 = LSTM(W x, 0), h_t = LSTM(E y_{t-1}, h_{t-1}), p_t = softmax(W_o L_h h_t)."""
    decoder = FeedbackDecoder(
        FeedbackSettings(hidden=3, embedding=4, cell=cell, image_vector=size, tied=tied),
        dim=DIM,
        vocabulary_size=VOCABULARY,
    ).eval()
    spread(decoder)
    logits, _ = decoder(annotations, tokens)
    p = parameters_of(decoder)
    for b, a in enumerate(real_positions(annotations)):
        first = add(product(p["W.weight"], narrowed(p, mean(a), size)), p["W.bias"])
        start = recur(p, cell, first, [0.0] * 3, [0.0] * 3)
        for r, words in enumerate(tokens[b].tolist()):
            h, c = start
            for t, y in enumerate(words):
                h, c = recur(p, cell, p["E.weight"][y], h, c)
                readout = add(product(p["L_h.weight"], h), p["L_h.bias"])
                assert_equal(logits[b, r, t], add(product(p["W_o.weight"], readout), p["W_o.bias"]))


def narrowed(p: Table, x: Vector, size: int | None) -> Vector:
    return x if size is None else add(product(p["bottleneck.weight"], x), p["bottleneck.bias"])
