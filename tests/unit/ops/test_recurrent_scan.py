"""Networks that read whole targets at once against the same networks one step after the other, or PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.decoders import Decoder, DecoderSettings, build_decoder
from regard.decoders.cells import Cell
from regard.decoders.gated import GatedDecoder
from regard.decoders.luong import LuongSettings
from regard.decoders.rnnencdec import RnnEncDecSettings
from regard.decoders.single_vector import FeedbackSettings, RepeatSettings
from regard.encoders.recurrent import RecurrentEncoder, RecurrentSettings
from regard.fast import encoder_for_training, for_training
from regard.fast.training import recurrent_encoder

BATCH, ROWS, TIME, POSITIONS, DIM, VOCABULARY = 4, 3, 6, 5, 9, 11
LENGTHS = {
    "full": None,
    "ragged": ((2, 6, 1), (5, 5, 3), (1, 1, 1), (4, 1, 2)),
    "empty": ((0, 2, 0), *((0, 0, 0),) * 3),
}
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}

DECODERS: dict[str, DecoderSettings] = {
    "repeat-lstm": RepeatSettings(hidden=7, dropout=0),
    "repeat-gru": RepeatSettings(hidden=7, dropout=0, cell="gru", image_vector=3),
    "feedback-lstm": FeedbackSettings(hidden=7, embedding=5, dropout=0),
    "feedback-gru": FeedbackSettings(hidden=7, embedding=5, dropout=0, cell="gru", image_vector=3, tied=False),
    "rnnencdec": RnnEncDecSettings(hidden=7, embedding=5, readout=4),
    "rnnencdec-biases": RnnEncDecSettings(hidden=7, embedding=5, readout=4, biases=True),
    "luong-lstm": LuongSettings(hidden=7, embedding=5, input_feeding=False, score="additive", attention=8),
    "luong-gru-layers": LuongSettings(hidden=7, embedding=5, input_feeding=False, layers=3, cell="gru"),
    "luong-local": LuongSettings(hidden=7, embedding=5, input_feeding=False, kind="local-p", window=2),
}


def shaken(module: nn.Module) -> nn.Module:
    """With parameters large enough for every part to matter."""
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -0.6, 0.6)
    return module


def decoder(name: str, dtype: torch.dtype) -> Decoder:
    torch.manual_seed(0)
    built = build_decoder(DECODERS[name], dim=DIM, vocabulary_size=VOCABULARY)
    shaken(built)
    return built.to(dtype)


def trace(built: Decoder, dtype: torch.dtype, lengths: Tensor | None) -> dict[str, Tensor]:
    """Readouts of real tokens, and the gradient of all that they depend on."""
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(BATCH, POSITIONS, DIM, generator=generator, dtype=dtype, requires_grad=True)
    tokens = torch.randint(0, VOCABULARY, (BATCH, ROWS, TIME), generator=generator)
    mask = torch.arange(POSITIONS) < torch.tensor([[5], [1], [4], [2]])
    built.zero_grad()
    readouts = for_training(built).trace(Annotations(values, mask), tokens, lengths).readouts
    if lengths is not None:
        readouts = readouts[torch.arange(TIME) < lengths.unsqueeze(-1)]
    readouts.square().sum().backward()
    gradients = {name: each.grad for name, each in built.named_parameters() if each.grad is not None}
    return {"readouts": readouts.detach(), "values": values.grad, **gradients}


def assert_equal_paths(work: Callable[[], dict[str, Tensor]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGARD_REFERENCE", "1")
    expected = work()
    monkeypatch.setenv("REGARD_REFERENCE", "0")
    found = work()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        tolerance = TOLERANCE[tensor.dtype] * max(1.0, float(tensor.abs().max()))
        torch.testing.assert_close(found[name], tensor, atol=tolerance, rtol=0, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("name", DECODERS)
def test_decoders_that_read_at_once_equal_their_plain_path(name, lengths, monkeypatch):
    ends = LENGTHS[lengths]
    for dtype in TOLERANCE:
        built = decoder(name, dtype)
        given = None if ends is None else torch.tensor(ends)
        assert_equal_paths(lambda b=built, d=dtype, g=given: trace(b, d, g), monkeypatch)


@pytest.mark.parametrize("name", DECODERS)
def test_no_step_is_taken_by_itself(name, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("a step by itself")

    built = decoder(name, torch.float64)
    expected = trace(built, torch.float64, None)
    for kind in (*Cell.__subclasses__(), GatedDecoder):
        method = "advance" if kind is GatedDecoder else "update"
        monkeypatch.setattr(kind, method, refuse)
    if name.startswith("feedback"):  # its first state is one step from the picture
        monkeypatch.setattr(type(built.cell), "update", lambda cell, gates, hidden: hidden)
        assert trace(built, torch.float64, None)["readouts"].shape == expected["readouts"].shape
        return
    assert torch.equal(trace(built, torch.float64, None)["readouts"], expected["readouts"])


@pytest.mark.parametrize("masked", [True, False], ids=["masked", "whole"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [True, False], ids=["both", "one"])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_recurrent_encoder_equals_that_of_pytorch(cell, bidirectional, layers, masked, monkeypatch):
    monkeypatch.setattr(recurrent_encoder, "LEAST_UNITS", 7)
    settings = RecurrentSettings(embedding=5, hidden=7, cell=cell, layers=layers, bidirectional=bidirectional)
    tokens = torch.randint(0, VOCABULARY, (BATCH, POSITIONS), generator=torch.Generator().manual_seed(3))
    mask = torch.arange(POSITIONS) < torch.tensor([[4], [1], [5], [2]]) if masked else None
    for dtype in TOLERANCE:
        torch.manual_seed(0)
        encoder = shaken(RecurrentEncoder(settings, vocabulary_size=VOCABULARY)).to(dtype)

        def work(encoder: nn.Module = encoder) -> dict[str, Tensor]:
            encoder.zero_grad()
            seen = encoder_for_training(encoder)(tokens, mask)
            (seen.values.square().sum() + (seen.summary.cos() * 3).sum()).backward()
            gradients = {name: each.grad for name, each in encoder.named_parameters()}
            return {"values": seen.values.detach(), "summary": seen.summary.detach(), **gradients}

        assert_equal_paths(work, monkeypatch)


def test_under_autocast_states_stay_in_float32():
    built = decoder("feedback-lstm", torch.float32)
    exact = trace(built, torch.float32, None)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = trace(built, torch.float32, None)
    assert not torch.equal(rounded["cell.weight_hh"], exact["cell.weight_hh"])
    for name in ("cell.weight_hh", "cell.weight_ih", "E.weight"):
        assert (rounded[name].float() - exact[name]).norm() / exact[name].norm() < 0.05, name


def test_the_backward_pass_can_be_taken_again():
    built = decoder("rnnencdec", torch.float64)
    tokens = torch.zeros(BATCH, ROWS, TIME, dtype=torch.long)
    values = torch.randn(BATCH, POSITIONS, DIM, dtype=torch.float64, requires_grad=True)
    readouts = for_training(built).trace(Annotations(values), tokens).readouts.sum()
    first, second = (torch.autograd.grad(readouts, values, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
