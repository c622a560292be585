"""``rnnsearch`` and ``rnnencdec`` against the equations of their papers, written out for one sentence and one word.

The transcriptions share no line with the decoders: no batch, no joined matrices, no products ahead of time.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.decoders.gated import GatedDecoder
from regard.decoders.rnnencdec import RnnEncDecDecoder, RnnEncDecSettings
from regard.decoders.rnnsearch import RnnSearchDecoder, RnnSearchSettings

BATCH, ROWS, TIME, POSITIONS = 3, 2, 4, 6
DIM, BACKWARD, VOCABULARY = 10, 5, 19
LENGTHS = (6, 2, 5)
SIZES = {"embedding": 7, "hidden": 8, "readout": 3}


def _gated_unit(d: GatedDecoder, e: Tensor, s: Tensor, c: Tensor) -> Tensor:
    """Bahdanau 2015, A.1.1 and A.2.2."""
    z = torch.sigmoid(d.W_z @ e + d.U_z @ s + d.C_z @ c)
    r = torch.sigmoid(d.W_r @ e + d.U_r @ s + d.C_r @ c)
    proposal = torch.tanh(d.W @ e + d.U @ (r * s) + d.C @ c)
    return (1 - z) * s + z * proposal


def _readout(d: GatedDecoder, e: Tensor, s: Tensor, c: Tensor) -> Tensor:
    """A.2.2: the deep output with one maxout layer, up to the softmax."""
    t_tilde = d.U_o @ s + d.V_o @ e + d.C_o @ c
    t = torch.stack([torch.max(t_tilde[2 * j], t_tilde[2 * j + 1]) for j in range(len(t_tilde) // 2)])
    return d.W_o @ t


def _rnnsearch(d: RnnSearchDecoder, h: list[Tensor], first: Tensor, words: list[int]) -> tuple[Tensor, Tensor]:
    s = torch.tanh(d.W_s @ first)
    logits, weights = [], []
    for word in words:
        e = d.E.weight[word]
        energies = torch.stack([d.v_a @ torch.tanh(d.W_a @ s + d.U_a @ h_j) for h_j in h])
        alpha = energies.exp() / energies.exp().sum()
        c = sum((alpha[j] * h[j] for j in range(len(h))), torch.zeros_like(h[0]))
        logits.append(_readout(d, e, s, c))
        weights.append(torch.cat([alpha, alpha.new_zeros(POSITIONS - len(h))]))
        s = _gated_unit(d, e, s, c)
    return torch.stack(logits), torch.stack(weights)


def _rnnencdec(d: RnnEncDecDecoder, c: Tensor, words: list[int]) -> Tensor:
    s = torch.tanh(d.W_s @ c)
    logits = []
    for word in words:
        e = d.E.weight[word]
        logits.append(_readout(d, e, s, c))
        s = _gated_unit(d, e, s, c)
    return torch.stack(logits)


def _inputs(dtype: torch.dtype) -> tuple[Annotations, Tensor]:
    values = torch.randn(BATCH, POSITIONS, DIM, dtype=dtype, requires_grad=True)
    summary = torch.randn(BATCH, DIM, dtype=dtype, requires_grad=True)
    mask = torch.arange(POSITIONS) < torch.tensor(LENGTHS).unsqueeze(1)
    return Annotations(values, mask, summary), torch.randint(VOCABULARY, (BATCH, ROWS, TIME))


def _gradients(decoder: GatedDecoder, annotations: Annotations, outputs: tuple[Tensor, ...]) -> list[Tensor]:
    torch.manual_seed(7)
    loss = sum((torch.randn_like(each) * each).sum() for each in outputs)
    assert annotations.summary is not None
    inputs = [*decoder.parameters(), annotations.values, annotations.summary]
    return [each for each in torch.autograd.grad(loss, inputs, allow_unused=True) if each is not None]


def _literal(decoder: RnnSearchDecoder, annotations: Annotations, tokens: Tensor) -> tuple[Tensor, Tensor]:
    assert annotations.summary is not None
    logits, weights = [], []
    for b, length in enumerate(LENGTHS):
        h, first = list(annotations.values[b, :length]), annotations.summary[b, -decoder.backward_dim or None :]
        for words in tokens[b].tolist():
            one = _rnnsearch(decoder, h, first, words)
            logits.append(one[0])
            weights.append(one[1])
    shape = (BATCH, ROWS, TIME, -1)
    return torch.stack(logits).view(shape), torch.stack(weights).view(shape)


@pytest.mark.parametrize("backward_dim", [BACKWARD, 0], ids=["bidirectional", "one-way"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_rnnsearch_equals_the_paper(dtype: torch.dtype, tolerance: float, backward_dim: int) -> None:
    torch.manual_seed(11)
    settings = RnnSearchSettings(**SIZES, attention=9)
    decoder = RnnSearchDecoder(settings, dim=DIM, vocabulary_size=VOCABULARY, backward_dim=backward_dim).to(dtype)
    annotations, tokens = _inputs(dtype)
    found = decoder(annotations, tokens)
    expected = _literal(decoder, annotations, tokens)
    torch.testing.assert_close(found[0], expected[0], atol=tolerance, rtol=0)
    torch.testing.assert_close(found[1], expected[1], atol=tolerance, rtol=0)
    ours, literal = _gradients(decoder, annotations, found), _gradients(decoder, annotations, expected)
    assert len(ours) == len(literal) == len(list(decoder.parameters())) + 2
    for one, two in zip(ours, literal, strict=True):
        torch.testing.assert_close(one, two, atol=1e-8 if dtype == torch.float64 else 1e-4, rtol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_rnnencdec_equals_the_paper(dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(12)
    decoder = RnnEncDecDecoder(RnnEncDecSettings(**SIZES), dim=DIM, vocabulary_size=VOCABULARY).to(dtype)
    annotations, tokens = _inputs(dtype)
    assert annotations.summary is not None
    found, _ = decoder(annotations, tokens)
    rows = [_rnnencdec(decoder, annotations.summary[b], words) for b in range(BATCH) for words in tokens[b].tolist()]
    expected = torch.stack(rows).view(BATCH, ROWS, TIME, VOCABULARY)
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)
    ours, literal = _gradients(decoder, annotations, (found,)), _gradients(decoder, annotations, (expected,))
    assert len(ours) == len(literal) == len(list(decoder.parameters())) + 1
    for one, two in zip(ours, literal, strict=True):
        torch.testing.assert_close(one, two, atol=1e-8 if dtype == torch.float64 else 1e-4, rtol=0)
