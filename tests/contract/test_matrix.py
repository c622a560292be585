"""Every encoder with every decoder with every score keeps the same promises."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.config import PartSettings
from regard.decoders import Decoder, DecoderSettings, State, build_decoder
from regard.decoders.attend import AttendSettings
from regard.decoders.luong import LuongSettings
from regard.decoders.rnnencdec import RnnEncDecSettings
from regard.decoders.rnnsearch import RnnSearchSettings
from regard.decoders.single_vector import FeedbackSettings, RepeatSettings
from regard.decoders.transformer import TransformerDecoderSettings
from regard.encoders import build_text_encoder
from regard.encoders.recurrent import RecurrentSettings
from regard.encoders.text import TextEncoder
from regard.encoders.transformer import TransformerEncoderSettings
from regard.scores import SCORES

BATCH, ROWS, POSITIONS, TIME = 3, 2, 7, 5
LENGTHS = (7, 3, 5)
SOURCE_VOCABULARY, VOCABULARY = 17, 13
PICTURE_DIM = 10


class Picture(nn.Module):
    """Stands in for an encoder of pictures: annotations without a summary, from one parameter per number."""

    dim = PICTURE_DIM
    backward_dim = 0

    def __init__(self) -> None:
        super().__init__()
        self.colours = nn.Parameter(torch.randn(SOURCE_VOCABULARY, PICTURE_DIM))

    def forward(self, regions: Tensor, mask: Tensor | None = None) -> Annotations:
        return Annotations(self.colours[regions], mask)


ENCODERS: dict[str, PartSettings | None] = {
    "gru": RecurrentSettings(embedding=11, hidden=4),
    "lstm": RecurrentSettings(embedding=11, hidden=6, cell="lstm", layers=2, bidirectional=False),
    "transformer": TransformerEncoderSettings(dim=12, layers=2, heads=3, feed_forward=19, positions="learned"),
    "picture": None,
}


def _scored(score: str, dim: int) -> dict[str, DecoderSettings]:
    """The decoders that take a score; a dot compares equal sizes, so the state takes the annotation's."""
    hidden = dim if score in ("dot", "scaled_dot") else 8
    return {
        f"attend-{score}": AttendSettings(embedding=9, hidden=hidden, attention=14, score=score),
        f"rnnsearch-{score}": RnnSearchSettings(embedding=9, hidden=hidden, attention=14, readout=6, score=score),
        f"luong-{score}": LuongSettings(embedding=9, hidden=hidden, attention=14, score=score),
    }


def _decoders(dim: int) -> dict[str, DecoderSettings]:
    found: dict[str, DecoderSettings] = {
        "repeat": RepeatSettings(hidden=8, image_vector=3),
        "feedback": FeedbackSettings(embedding=9, hidden=8, cell="gru"),
        "attend-hard": AttendSettings(embedding=9, hidden=8, attention=14, kind="hard", cell="gru", gate=False),
        "rnnsearch-biases": RnnSearchSettings(embedding=6, hidden=8, attention=14, readout=6, tied=True, biases=True),
        "rnnencdec": RnnEncDecSettings(embedding=9, hidden=8, readout=6),
        "luong-unfed": LuongSettings(embedding=9, hidden=8, layers=2, input_feeding=False),
        "luong-unfed-local-p": LuongSettings(
            embedding=9, hidden=8, cell="gru", input_feeding=False, kind="local-p", window=2
        ),
        "luong-local-m": LuongSettings(embedding=9, hidden=8, layers=2, cell="gru", kind="local-m", window=2),
        "luong-local-p": LuongSettings(embedding=8, hidden=8, kind="local-p", tied=True),
        "transformer": TransformerDecoderSettings(dim=15, layers=2, heads=5, feed_forward=21, look=0),
        "transformer-learned": TransformerDecoderSettings(
            dim=15, layers=1, heads=3, feed_forward=21, tied=False, positions="learned", max_positions=TIME
        ),
    }
    for score in list(SCORES):
        found |= _scored(score, dim)
    return found


@dataclass(frozen=True)
class Model:
    """One cell of the matrix, with one batch of inputs and targets for it."""

    encoder: TextEncoder | Picture
    decoder: Decoder
    settings: DecoderSettings
    inputs: Tensor
    mask: Tensor | None
    tokens: Tensor

    def annotations(self) -> Annotations:
        annotations: Annotations = self.encoder(self.inputs, self.mask)
        return annotations

    def forward(self) -> tuple[Tensor, Tensor]:
        logits, weights = self.decoder(self.annotations(), self.tokens)
        return logits, weights


def _steps(decoder: Decoder, state: State, tokens: Tensor) -> tuple[Tensor, Tensor]:
    logits, weights = [], []
    for t in range(tokens.shape[2]):
        step = decoder.step(state, tokens[:, :, t])
        state = step.state
        logits.append(step.logits)
        weights.append(step.weights)
    assert state.length == tokens.shape[2]
    return torch.stack(logits, dim=2), torch.stack(weights, dim=2)


def _build_encoder(name: str) -> TextEncoder | Picture:
    settings = ENCODERS[name]
    return Picture() if settings is None else build_text_encoder(settings, vocabulary_size=SOURCE_VOCABULARY)


def _dim(name: str) -> int:
    return _build_encoder(name).dim


MATRIX = [(encoder, decoder) for encoder in ENCODERS for decoder in _decoders(_dim(encoder))]


@pytest.fixture(scope="module", params=MATRIX, ids=lambda pair: "-".join(pair))
def model(request: pytest.FixtureRequest) -> Model:
    encoder_name, decoder_name = request.param
    torch.manual_seed(5)
    encoder = _build_encoder(encoder_name).eval()
    settings = _decoders(encoder.dim)[decoder_name]
    decoder = build_decoder(
        settings, dim=encoder.dim, vocabulary_size=VOCABULARY, backward_dim=encoder.backward_dim
    ).eval()
    mask = None
    if encoder_name != "picture":
        mask = torch.arange(POSITIONS) < torch.tensor(LENGTHS).unsqueeze(1)
    return Model(
        encoder=encoder,
        decoder=decoder,
        settings=settings,
        inputs=torch.randint(SOURCE_VOCABULARY, (BATCH, POSITIONS)),
        mask=mask,
        tokens=torch.randint(VOCABULARY, (BATCH, ROWS, TIME)),
    )


@torch.no_grad()
def test_steps_equal_the_teacher_forced_pass(model: Model) -> None:
    logits, weights = model.forward()
    stepped = _steps(model.decoder, model.decoder.start(model.annotations(), rows=ROWS), model.tokens)
    assert logits.shape == (BATCH, ROWS, TIME, VOCABULARY)
    torch.testing.assert_close(stepped[0], logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(stepped[1], weights, atol=1e-5, rtol=0)


@torch.no_grad()
def test_weights_sum_to_one_and_are_exactly_zero_on_padding(model: Model) -> None:
    _, weights = model.forward()
    assert weights.shape == (BATCH, ROWS, TIME, POSITIONS)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(BATCH, ROWS, TIME), atol=1e-6, rtol=0)
    if model.mask is not None:
        assert (weights[~model.mask[:, None, None, :].expand_as(weights)] == 0).all()


@torch.no_grad()
def test_padding_changes_nothing(model: Model) -> None:
    logits, weights = model.forward()
    rubbish = torch.randint(SOURCE_VOCABULARY, (BATCH, 4))
    real = torch.ones_like(model.inputs, dtype=torch.bool) if model.mask is None else model.mask
    padded = replace(
        model,
        inputs=torch.cat([model.inputs, rubbish], dim=1),
        mask=torch.cat([real, torch.zeros_like(rubbish, dtype=torch.bool)], dim=1),
    )
    padded_logits, padded_weights = padded.forward()
    torch.testing.assert_close(padded_logits, logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(padded_weights[..., :POSITIONS], weights, atol=1e-5, rtol=0)
    assert (padded_weights[..., POSITIONS:] == 0).all()


@torch.no_grad()
def test_the_order_of_the_batch_changes_nothing(model: Model) -> None:
    logits, weights = model.forward()
    order = torch.tensor([2, 0, 1])
    mask = None if model.mask is None else model.mask[order]
    permuted = replace(model, inputs=model.inputs[order], mask=mask, tokens=model.tokens[order]).forward()
    torch.testing.assert_close(permuted[0], logits[order], atol=1e-5, rtol=0)
    torch.testing.assert_close(permuted[1], weights[order], atol=1e-5, rtol=0)


@torch.no_grad()
def test_an_input_alone_equals_the_input_in_a_batch(model: Model) -> None:
    logits, _ = model.forward()
    size = POSITIONS if model.mask is None else LENGTHS[1]
    alone = replace(model, inputs=model.inputs[1:2, :size], mask=None, tokens=model.tokens[1:2])
    torch.testing.assert_close(alone.forward()[0], logits[1:2], atol=1e-5, rtol=0)


@torch.no_grad()
def test_interleaved_decodes_equal_separate_ones(model: Model) -> None:
    expected, _ = model.forward()
    first = model.decoder.start(model.annotations().select(torch.tensor([0])), rows=ROWS)
    second = model.decoder.start(model.annotations().select(torch.tensor([1, 2])), rows=ROWS)
    for t in range(TIME):
        one = model.decoder.step(first, model.tokens[:1, :, t])
        two = model.decoder.step(second, model.tokens[1:, :, t])
        first, second = one.state, two.state
        both = torch.cat([one.logits, two.logits])
        torch.testing.assert_close(both, expected[:, :, t], atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_reordered_state_continues_from_the_chosen_rows(model: Model) -> None:
    state = model.decoder.start(model.annotations(), rows=ROWS)
    for t in range(2):
        state = model.decoder.step(state, model.tokens[:, :, t]).state
    following = model.tokens[:, :1, 2].expand(-1, ROWS)
    expected = model.decoder.step(state, following).logits
    rows = torch.tensor([[1, 0], [1, 1], [0, 0]])
    reordered = model.decoder.step(state.reorder(rows), following).logits
    torch.testing.assert_close(reordered, expected[torch.arange(BATCH).unsqueeze(1), rows], atol=1e-5, rtol=0)
    kept = torch.tensor([2, 0])
    selected = model.decoder.step(state.select(kept), following[kept]).logits
    torch.testing.assert_close(selected, expected[kept], atol=1e-5, rtol=0)


@torch.no_grad()
def test_known_lengths_leave_real_tokens_as_they_are(model: Model) -> None:
    lengths = torch.tensor([[5, 3], [4, 1], [2, 2]])
    logits, weights = model.forward()
    trace = model.decoder.trace(model.annotations(), model.tokens, lengths)
    real = torch.arange(TIME) < lengths.unsqueeze(-1)
    torch.testing.assert_close(model.decoder.logits(trace.readouts)[real], logits[real], atol=1e-5, rtol=0)
    torch.testing.assert_close(trace.weights[real], weights[real], atol=1e-5, rtol=0)


def test_gradients_reach_every_parameter(model: Model) -> None:
    logits, weights = model.forward()
    loss = (logits * torch.randn_like(logits)).sum()
    if isinstance(model.settings, AttendSettings) and model.settings.kind == "hard":
        # a hard choice passes no gradient on; training reaches the scores through the probability of the choice
        loss = loss + (weights * torch.randn_like(weights)).sum()
    parameters = dict(nn.ModuleDict({"encoder": model.encoder, "decoder": model.decoder}).named_parameters())
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    for name, gradient in zip(parameters, gradients, strict=True):
        assert gradient is not None, name
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 1e-8, name
