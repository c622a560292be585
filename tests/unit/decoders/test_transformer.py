from __future__ import annotations

import pytest
import torch

from regard.annotations import Annotations
from regard.config import parse
from regard.decoders import build_decoder
from regard.decoders.transformer import TransformerDecoder, TransformerDecoderSettings
from regard.errors import ConfigError, TextError

DIM, VOCABULARY = 10, 17
BATCH, ROWS, TIME, POSITIONS = 3, 2, 5, 7


def _build(**options: object) -> TransformerDecoder:
    torch.manual_seed(0)
    values = {"dim": 12, "layers": 3, "heads": 4, "feed_forward": 19, **options}
    settings = parse(TransformerDecoderSettings, values, origin="test")
    decoder = build_decoder(settings, dim=DIM, vocabulary_size=VOCABULARY)
    assert isinstance(decoder, TransformerDecoder)
    return decoder.eval()


def _annotations() -> Annotations:
    return Annotations(torch.randn(BATCH, POSITIONS, DIM))


@torch.no_grad()
def test_a_word_does_not_see_later_words() -> None:
    decoder, annotations, tokens = _build(), _annotations(), torch.randint(VOCABULARY, (BATCH, ROWS, TIME))
    changed = tokens.clone()
    changed[:, :, 3:] = (changed[:, :, 3:] + 1) % VOCABULARY
    before, after = decoder(annotations, tokens)[0], decoder(annotations, changed)[0]
    torch.testing.assert_close(after[:, :, :3], before[:, :, :3], atol=1e-6, rtol=0)
    assert not torch.allclose(after[:, :, 3], before[:, :, 3], atol=1e-3)


@torch.no_grad()
def test_the_cache_grows_by_one_position_a_word() -> None:
    decoder, annotations = _build(), _annotations()
    state = decoder.start(annotations, rows=ROWS)
    for t in range(TIME):
        assert {tuple(cache.shape) for cache in state.rows.values()} == {(BATCH, ROWS, 4, t, 3)}
        state = decoder.step(state, torch.randint(VOCABULARY, (BATCH, ROWS))).state
    assert len(state.rows) == 2 * 3


@torch.no_grad()
def test_the_layer_that_is_looked_at_can_be_chosen() -> None:
    annotations, tokens = _annotations(), torch.randint(VOCABULARY, (BATCH, ROWS, TIME))
    found = {look: _build(look=look)(annotations, tokens) for look in (0, 1, 2, -1)}
    torch.testing.assert_close(found[2][1], found[-1][1])
    assert not torch.allclose(found[0][1], found[1][1], atol=1e-3)
    for look in (0, 1):
        torch.testing.assert_close(found[look][0], found[-1][0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("look", [3, -4])
def test_a_layer_that_is_not_there_cannot_be_looked_at(look: int) -> None:
    with pytest.raises(ConfigError, match=f"layer {look} of a decoder of 3 layers; allowed: look from -3 to 2"):
        _build(look=look)


@torch.no_grad()
def test_annotations_of_a_picture_get_no_positions() -> None:
    """A decoder that sees a set sees the same set in another order."""
    decoder, annotations, tokens = _build(), _annotations(), torch.randint(VOCABULARY, (BATCH, ROWS, TIME))
    order = torch.tensor([3, 1, 6, 0, 5, 2, 4])
    logits, weights = decoder(annotations, tokens)
    turned_logits, turned_weights = decoder(Annotations(annotations.values[:, order]), tokens)
    torch.testing.assert_close(turned_logits, logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(turned_weights, weights[..., order], atol=1e-6, rtol=0)


@torch.no_grad()
def test_learned_positions_end_step_by_step_as_well() -> None:
    decoder, annotations = _build(positions="learned", max_positions=2), _annotations()
    state = decoder.start(annotations)
    tokens = torch.zeros(BATCH, 1, dtype=torch.int64)
    for _ in range(2):
        state = decoder.step(state, tokens).state
    with pytest.raises(TextError, match="a text of 3 tokens is too long for this model; allowed: 2 tokens"):
        decoder.step(state, tokens)


def test_heads_divide_the_size() -> None:
    with pytest.raises(ConfigError, match="5 heads cannot share 12 dimensions"):
        _build(heads=5)


def test_matrices_are_tied_unless_told_otherwise() -> None:
    decoder = _build()
    assert decoder.W_o.weight is decoder.E.weight
    decoder = _build(tied=False)
    assert decoder.W_o.weight is not decoder.E.weight


def test_dropout_acts_in_training_alone() -> None:
    decoder = _build(dropout=0.5, attention_dropout=0.5)
    annotations, tokens = _annotations(), torch.randint(VOCABULARY, (BATCH, ROWS, TIME))
    assert torch.equal(decoder(annotations, tokens)[0], decoder(annotations, tokens)[0])
    decoder.train()
    assert not torch.equal(decoder(annotations, tokens)[0], decoder(annotations, tokens)[0])
