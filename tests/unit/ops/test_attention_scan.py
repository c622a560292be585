"""The recurrent scan with attention against the plain path: the loop over steps through autograd."""

from __future__ import annotations

import itertools
from typing import TypeVar

import pytest
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.decoders import Decoder
from regard.decoders.attend import AttendDecoder, AttendSettings
from regard.decoders.rnnsearch import RnnSearchDecoder, RnnSearchSettings
from regard.fast import for_training
from regard.fast.training import attend, scans
from regard.ops import additive
from regard.scores import SCORES

pytestmark = pytest.mark.usefixtures("arithmetic")

D = TypeVar("D", bound=Decoder)

BATCH, ROWS, TIME, DIM, VOCABULARY = 4, 3, 6, 9, 11
RAGGED = ((2, 6, 0), (5, 5, 3), (0, 0, 0), (4, 1, 2))
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def build(dtype: torch.dtype, **values: object) -> AttendDecoder:
    torch.manual_seed(0)
    sizes = {"embedding": 7, "hidden": 9, "attention": 8, "dropout": 0.0}
    decoder = AttendDecoder(AttendSettings.model_validate({**sizes, **values}), dim=DIM, vocabulary_size=VOCABULARY)
    return shaken(decoder).to(dtype)


def build_rnnsearch(dtype: torch.dtype, **values: object) -> RnnSearchDecoder:
    torch.manual_seed(0)
    sizes = {"embedding": 7, "hidden": 9, "attention": 8, "readout": 4, "biases": True}
    decoder = RnnSearchDecoder(
        RnnSearchSettings.model_validate({**sizes, **values}), dim=DIM, vocabulary_size=VOCABULARY
    )
    return shaken(decoder).to(dtype)


def shaken(decoder: D) -> D:
    """With parameters large enough for every part to matter."""
    for parameter in decoder.parameters():
        torch.nn.init.uniform_(parameter, -0.6, 0.6)
    return decoder


def annotations(dtype: torch.dtype, *, positions: int, masked: bool) -> Annotations:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(BATCH, positions, DIM, generator=generator, dtype=dtype)
    mask = torch.arange(positions) < torch.tensor([positions, 1, positions, 2]).unsqueeze(1) if masked else None
    return Annotations(values.requires_grad_(), mask)


def everything(
    decoder: Decoder, seen: Annotations, lengths: Tensor | None, *, autocast: bool = False, words: int = VOCABULARY
) -> dict[str, Tensor]:
    """Readouts and weights of real tokens, and the gradient of all that a loss of both depends on."""
    tokens = torch.randint(0, words, (BATCH, ROWS, TIME), generator=torch.Generator().manual_seed(2))
    decoder.zero_grad()
    seen.values.grad = None
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        trace = for_training(decoder).trace(seen, tokens, lengths)
    real = torch.arange(TIME) < (torch.full((BATCH, ROWS), TIME) if lengths is None else lengths).unsqueeze(-1)
    readouts, weights = trace.readouts[real], trace.weights[real]
    push = torch.randn(weights.shape, generator=torch.Generator().manual_seed(3), dtype=weights.dtype)
    (readouts.square().sum() + (weights * push).sum()).backward()
    assert seen.values.grad is not None
    gradients = {
        name: parameter.grad
        for name, parameter in decoder.named_parameters()
        if not name.startswith(("L_o", "W_o", "b_o"))
    }
    assert all(gradient is not None for gradient in gradients.values())
    return {"readouts": readouts.detach(), "weights": weights.detach(), "values": seen.values.grad, **gradients}


def assert_equal_paths(
    decoder: Decoder,
    seen: Annotations,
    lengths: Tensor | None,
    monkeypatch: pytest.MonkeyPatch,
    *,
    words: int = VOCABULARY,
) -> None:
    monkeypatch.setenv("REGARD_REFERENCE", "1")
    expected = everything(decoder, seen, lengths, words=words)
    monkeypatch.setenv("REGARD_REFERENCE", "0")
    found = everything(decoder, seen, lengths, words=words)
    for name, tensor in expected.items():
        tolerance = TOLERANCE[tensor.dtype]
        scale = max(1.0, float(tensor.abs().max()))
        torch.testing.assert_close(
            found[name], tensor, atol=tolerance * scale, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("score", list(SCORES))
def test_every_option_equals_the_plain_path(score, cell, monkeypatch):
    for gate, deep, masked in itertools.product((True, False), repeat=3):
        lengths = torch.tensor(RAGGED) if gate == deep else None
        monkeypatch.setattr(scans, "SUM_COST", 0 if gate else 1000)  # values multiplied before or after they are mixed
        for dtype, positions in ((torch.float64, 3 if deep == masked else 31), (torch.float32, 5)):
            decoder = build(dtype, score=score, cell=cell, gate=gate, deep_output=deep, tied=deep)
            assert_equal_paths(decoder, annotations(dtype, positions=positions, masked=masked), lengths, monkeypatch)


@pytest.mark.parametrize("score", list(SCORES))
def test_rnnsearch_equals_its_plain_path(score, monkeypatch):
    for biases, masked in itertools.product((True, False), repeat=2):
        lengths = torch.tensor(RAGGED) if biases == masked else None
        monkeypatch.setattr(scans, "SUM_COST", 0 if biases else 1000)
        for dtype, positions in ((torch.float64, 3 if masked else 31), (torch.float32, 5)):
            decoder = build_rnnsearch(dtype, score=score, biases=biases)
            assert_equal_paths(decoder, annotations(dtype, positions=positions, masked=masked), lengths, monkeypatch)


@pytest.mark.parametrize("lengths", [((6, 6, 6),) * 4, ((1, 1, 1),) * 4, ((0, 0, 1), *(((0, 0, 0),) * 3))], ids=str)
def test_full_short_and_single_targets(lengths, monkeypatch):
    decoder = build(torch.float64)
    assert_equal_paths(
        decoder, annotations(torch.float64, positions=5, masked=True), torch.tensor(lengths), monkeypatch
    )


@pytest.mark.parametrize("words", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_captions_that_begin_alike_are_read_once(cell, words, monkeypatch):
    for lengths in (None, torch.tensor(RAGGED)):
        decoder, seen = build(torch.float64, cell=cell), annotations(torch.float64, positions=5, masked=True)
        assert_equal_paths(decoder, seen, lengths, monkeypatch, words=words)


@pytest.mark.parametrize("block", [1, 40, 100, 10**6])
def test_every_block_size_gives_the_same(block, monkeypatch):
    monkeypatch.setattr(additive, "BLOCK_ELEMENTS", block)
    decoder = build(torch.float64)
    assert_equal_paths(decoder, annotations(torch.float64, positions=5, masked=True), torch.tensor(RAGGED), monkeypatch)


def test_saturated_scores_leave_the_powers(monkeypatch):
    decoder = build(torch.float32)
    with torch.no_grad():
        decoder.attention.score.W.weight.mul_(60)
        decoder.attention.score.U.weight.mul_(60)
    assert_equal_paths(decoder, annotations(torch.float32, positions=5, masked=False), None, monkeypatch)


def test_dropout_stays_outside(monkeypatch):
    """With dropout on the embedding each token has a product of its own; the rest goes the same way."""
    decoder = build(torch.float64, embedding_dropout=0.4).train()
    monkeypatch.setattr(decoder.embedding_dropout, "forward", lambda embedded: embedded * embedded.cos())
    monkeypatch.setattr(attend, "drop", lambda layer, x: x * x.cos() if layer is decoder.embedding_dropout else x)
    assert_equal_paths(decoder, annotations(torch.float64, positions=5, masked=True), torch.tensor(RAGGED), monkeypatch)


def test_autocast_takes_products_in_its_precision_and_keeps_float32():
    decoder, seen = build(torch.float32), annotations(torch.float32, positions=5, masked=True)
    lengths = torch.tensor(RAGGED)
    exact = everything(decoder, seen, lengths)
    rounded = everything(decoder, seen, lengths, autocast=True)
    assert rounded["weights"].dtype == torch.float32
    assert not torch.equal(rounded["cell.weight_hh"], exact["cell.weight_hh"])
    for name, tensor in exact.items():
        error = (rounded[name].float() - tensor).norm() / tensor.norm()
        assert error < 0.03, name


@pytest.mark.parametrize("mixing", [0, 1000])
def test_values_that_do_not_learn_leave_the_other_gradients_as_they_are(mixing, monkeypatch):
    monkeypatch.setattr(scans, "SUM_COST", mixing)
    decoder, tokens = build(torch.float64), torch.zeros(BATCH, ROWS, TIME, dtype=torch.long)
    found = []
    for learn in (True, False):
        seen = annotations(torch.float64, positions=5, masked=True)
        decoder.zero_grad()
        for_training(decoder).trace(
            Annotations(seen.values.detach().requires_grad_(learn), seen.mask), tokens
        ).readouts.sum().backward()
        found.append([parameter.grad for parameter in decoder.parameters() if parameter.grad is not None])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_the_backward_pass_can_be_taken_again():
    decoder, seen = build(torch.float64), annotations(torch.float64, positions=5, masked=False)
    tokens = torch.zeros(BATCH, ROWS, TIME, dtype=torch.long)
    readouts = for_training(decoder).trace(seen, tokens).readouts.sum()
    first, second = (torch.autograd.grad(readouts, seen.values, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_without_gradients_nothing_is_kept():
    decoder, seen = build(torch.float32), annotations(torch.float32, positions=5, masked=False)
    with torch.inference_mode():
        trace = for_training(decoder).trace(seen, torch.zeros(BATCH, ROWS, TIME, dtype=torch.long))
    assert trace.readouts.grad_fn is None


def test_less_than_a_quarter_of_the_plain_path_is_kept(monkeypatch):
    decoder = build(torch.float32, attention=64)
    seen = annotations(torch.float32, positions=31, masked=False)
    parameters = {parameter.untyped_storage().data_ptr() for parameter in decoder.parameters()}

    def kept() -> int:
        sizes: dict[int, int] = {}

        def count(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in parameters:
                sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            readouts = for_training(decoder).trace(seen, torch.zeros(BATCH, ROWS, TIME, dtype=torch.long)).readouts
        assert readouts.requires_grad
        return sum(sizes.values())

    monkeypatch.setenv("REGARD_REFERENCE", "1")
    plain = kept()
    monkeypatch.setenv("REGARD_REFERENCE", "0")
    assert kept() < plain / 4
