from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from regard.encoders import build_text_encoder
from regard.encoders.transformer import TransformerEncoder, TransformerEncoderSettings, sinusoids
from regard.errors import ConfigError, TextError

VOCABULARY, DIM = 13, 12
LENGTHS = (4, 9, 1, 6)

KINDS = {
    "sinusoidal": TransformerEncoderSettings(dim=DIM, layers=2, heads=3, feed_forward=17),
    "learned": TransformerEncoderSettings(
        dim=DIM, layers=1, heads=4, feed_forward=17, positions="learned", max_positions=14
    ),
}


@pytest.fixture(params=KINDS)
def encoder(request: pytest.FixtureRequest) -> TransformerEncoder:
    torch.manual_seed(0)
    encoder = build_text_encoder(KINDS[request.param], vocabulary_size=VOCABULARY)
    assert isinstance(encoder, TransformerEncoder)
    return encoder.eval()


def _batch(positions: int = max(LENGTHS)) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    tokens = torch.randint(VOCABULARY, (len(LENGTHS), max(LENGTHS)))
    rubbish = torch.randint(VOCABULARY, (len(LENGTHS), positions - max(LENGTHS)))
    return torch.cat([tokens, rubbish], 1), torch.arange(positions) < torch.tensor(LENGTHS).unsqueeze(1)


@torch.no_grad()
def test_sizes_are_as_stated(encoder: TransformerEncoder) -> None:
    tokens, mask = _batch()
    annotations = encoder(tokens, mask)
    assert (encoder.dim, encoder.backward_dim) == (DIM, 0)
    assert annotations.values.shape == (4, 9, DIM)
    assert annotations.summary is None
    assert annotations.mask is mask


@torch.no_grad()
def test_a_sentence_alone_equals_the_sentence_in_a_batch(encoder: TransformerEncoder) -> None:
    tokens, mask = _batch()
    together = encoder(tokens, mask)
    for i, length in enumerate(LENGTHS):
        alone = encoder(tokens[i : i + 1, :length])
        torch.testing.assert_close(alone.values[0], together.values[i, :length], atol=1e-5, rtol=0)


@torch.no_grad()
def test_more_padding_changes_nothing_and_is_zero(encoder: TransformerEncoder) -> None:
    (tokens, mask), (long_tokens, long_mask) = _batch(), _batch(14)
    long = encoder(long_tokens, long_mask).values
    assert (long[~long_mask] == 0).all()
    torch.testing.assert_close(long[:, :9], encoder(tokens, mask).values, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_order_of_the_batch_changes_nothing(encoder: TransformerEncoder) -> None:
    (tokens, mask), order = _batch(), torch.tensor([2, 0, 3, 1])
    permuted = encoder(tokens[order], mask[order]).values
    torch.testing.assert_close(permuted, encoder(tokens, mask).values[order], atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_order_of_the_words_matters(encoder: TransformerEncoder) -> None:
    tokens = torch.tensor([[1, 2, 3]])
    turned = encoder(tokens.flip(1)).values.flip(1)
    assert not torch.allclose(turned, encoder(tokens).values, atol=1e-2)


@pytest.mark.parametrize("dim", [1, 6, 7])
def test_sinusoids_equal_the_formula(dim: int) -> None:
    found = sinusoids(torch.tensor([0, 3, 5]), dim)
    for row, position in zip(found, (0, 3, 5), strict=True):
        angles = [position / 10_000 ** (2 * (i // 2) / dim) for i in range(dim)]
        expected = [math.cos(angle) if i % 2 else math.sin(angle) for i, angle in enumerate(angles)]
        assert row.tolist() == pytest.approx(expected, abs=1e-6)


def test_learned_positions_end() -> None:
    encoder = TransformerEncoder(KINDS["learned"], vocabulary_size=VOCABULARY)
    with pytest.raises(
        TextError, match="a text of 15 tokens is too long for this model; allowed: 14 tokens; shorten it"
    ):
        encoder(torch.zeros(2, 15, dtype=torch.int64))


def test_heads_divide_the_size() -> None:
    with pytest.raises(ConfigError, match="5 heads cannot share 12 dimensions"):
        build_text_encoder(TransformerEncoderSettings(dim=12, heads=5), vocabulary_size=VOCABULARY)


def test_dropout_acts_in_training_alone() -> None:
    settings = KINDS["sinusoidal"].model_copy(update={"dropout": 0.5, "attention_dropout": 0.5})
    encoder = TransformerEncoder(settings, vocabulary_size=VOCABULARY)
    tokens, mask = _batch()
    assert not torch.equal(encoder(tokens, mask).values, encoder(tokens, mask).values)
    encoder.eval()
    assert torch.equal(encoder(tokens, mask).values, encoder(tokens, mask).values)
