from __future__ import annotations

import pytest
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.encoders import build_text_encoder
from regard.encoders.recurrent import RecurrentEncoder, RecurrentSettings

VOCABULARY, HIDDEN, EMBEDDING = 13, 5, 7
LENGTHS = (4, 9, 1, 6)

KINDS = {
    "gru": RecurrentSettings(embedding=EMBEDDING, hidden=HIDDEN),
    "lstm": RecurrentSettings(embedding=EMBEDDING, hidden=HIDDEN, cell="lstm"),
    "stacked": RecurrentSettings(embedding=EMBEDDING, hidden=HIDDEN, layers=3),
    "forward": RecurrentSettings(embedding=EMBEDDING, hidden=HIDDEN, cell="lstm", layers=2, bidirectional=False),
}


@pytest.fixture(params=KINDS)
def encoder(request: pytest.FixtureRequest) -> RecurrentEncoder:
    torch.manual_seed(0)
    encoder = build_text_encoder(KINDS[request.param], vocabulary_size=VOCABULARY)
    assert isinstance(encoder, RecurrentEncoder)
    return encoder.eval()


def _batch(positions: int = max(LENGTHS)) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    tokens = torch.randint(VOCABULARY, (len(LENGTHS), max(LENGTHS)))
    rubbish = torch.randint(VOCABULARY, (len(LENGTHS), positions - max(LENGTHS)))
    return torch.cat([tokens, rubbish], 1), torch.arange(positions) < torch.tensor(LENGTHS).unsqueeze(1)


def _assert_equal(one: Annotations, two: Annotations) -> None:
    assert one.summary is not None
    assert two.summary is not None
    torch.testing.assert_close(one.values, two.values, atol=1e-6, rtol=0)
    torch.testing.assert_close(one.summary, two.summary, atol=1e-6, rtol=0)


@torch.no_grad()
def test_sizes_are_as_stated(encoder: RecurrentEncoder) -> None:
    tokens, mask = _batch()
    annotations = encoder(tokens, mask)
    directions = 2 if encoder.settings.bidirectional else 1
    assert encoder.dim == directions * HIDDEN
    assert encoder.backward_dim == (HIDDEN if directions == 2 else 0)
    assert annotations.values.shape == (4, 9, encoder.dim)
    assert annotations.summary.shape == (4, encoder.dim)
    assert annotations.mask is mask


@torch.no_grad()
def test_a_sentence_alone_equals_the_sentence_in_a_batch(encoder: RecurrentEncoder) -> None:
    tokens, mask = _batch()
    together = encoder(tokens, mask)
    for i, length in enumerate(LENGTHS):
        alone = encoder(tokens[i : i + 1, :length])
        assert alone.mask is None
        chosen = Annotations(together.values[i : i + 1, :length], None, together.summary[i : i + 1])
        _assert_equal(alone, chosen)


@torch.no_grad()
def test_more_padding_changes_nothing_and_is_zero(encoder: RecurrentEncoder) -> None:
    short, long = encoder(*_batch()), encoder(*_batch(14))
    assert (long.values[~_batch(14)[1]] == 0).all()
    _assert_equal(short, Annotations(long.values[:, :9], None, long.summary))


@torch.no_grad()
def test_the_order_of_the_batch_changes_nothing(encoder: RecurrentEncoder) -> None:
    (tokens, mask), order = _batch(), torch.tensor([2, 0, 3, 1])
    _assert_equal(encoder(tokens[order], mask[order]), encoder(tokens, mask).select(order))


@torch.no_grad()
def test_a_full_mask_equals_none(encoder: RecurrentEncoder) -> None:
    tokens, mask = _batch()
    _assert_equal(encoder(tokens, torch.ones_like(mask)), encoder(tokens))


@torch.no_grad()
def test_the_summary_is_where_each_direction_ended(encoder: RecurrentEncoder) -> None:
    annotations = encoder(*_batch())
    for i, length in enumerate(LENGTHS):
        values, summary = annotations.values[i], annotations.summary[i]
        torch.testing.assert_close(summary[:HIDDEN], values[length - 1, :HIDDEN])
        if encoder.backward_dim:
            torch.testing.assert_close(summary[-HIDDEN:], values[0, -HIDDEN:])


@torch.no_grad()
def test_both_directions_equal_a_loop_over_cells() -> None:
    torch.manual_seed(2)
    encoder = RecurrentEncoder(KINDS["gru"], vocabulary_size=VOCABULARY).eval()
    cells = {}
    for direction, suffix in (("forward", ""), ("backward", "_reverse")):
        cells[direction] = torch.nn.GRUCell(EMBEDDING, HIDDEN)
        for name, parameter in cells[direction].named_parameters():
            parameter.copy_(encoder.network.get_parameter(f"{name}_l0{suffix}"))
    tokens, mask = _batch()
    annotations = encoder(tokens, mask)
    for i, length in enumerate(LENGTHS):
        words = [encoder.E.weight[token] for token in tokens[i, :length]]
        ahead, back = [torch.zeros(HIDDEN)], [torch.zeros(HIDDEN)]
        for word in words:
            ahead.append(cells["forward"](word, ahead[-1]))
        for word in reversed(words):
            back.append(cells["backward"](word, back[-1]))
        literal = torch.cat([torch.stack(ahead[1:]), torch.stack(back[:0:-1])], dim=1)
        torch.testing.assert_close(annotations.values[i, :length], literal, atol=1e-6, rtol=0)


def test_gradients_do_not_see_padding(encoder: RecurrentEncoder) -> None:
    tokens, mask = _batch(12)
    tokens[~mask] = 12
    tokens[mask & (tokens == 12)] = 0
    annotations = encoder(tokens, mask)
    (annotations.values.sum() + annotations.summary.sum()).backward()
    assert encoder.E.weight.grad is not None
    assert (encoder.E.weight.grad[12] == 0).all()


def test_dropout_acts_in_training_alone() -> None:
    settings = RecurrentSettings(embedding=EMBEDDING, hidden=HIDDEN, layers=2, dropout=0.5, embedding_dropout=0.5)
    encoder = RecurrentEncoder(settings, vocabulary_size=VOCABULARY)
    tokens, mask = _batch()
    trained = encoder(tokens, mask)
    assert 0.3 < float((trained.values[mask] == 0).float().mean()) < 0.7
    encoder.eval()
    _assert_equal(encoder(tokens, mask), encoder(tokens, mask))
    assert (encoder(tokens, mask).values[mask] != 0).all()
