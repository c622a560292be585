"""What every decoder promises, whatever its family: one line in ``CASES`` puts a decoder under all of it."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.decoders import Decoder, DecoderSettings, State, build_decoder
from regard.decoders.attend import AttendSettings
from regard.decoders.luong import LuongSettings
from regard.decoders.rnnencdec import RnnEncDecSettings
from regard.decoders.rnnsearch import RnnSearchSettings
from regard.decoders.single_vector import FeedbackSettings, RepeatSettings
from regard.decoders.transformer import TransformerDecoderSettings
from regard.fast import for_training
from regard.scores import SCORES

DIM, VOCABULARY, BATCH, ROWS, TIME = 9, 11, 4, 3, 6
POSITIONS = (7, 2, 5, 1)


def _attend(**values: object) -> AttendSettings:
    sizes = {"embedding": 7, "hidden": 9, "attention": 8}
    return AttendSettings.model_validate({**sizes, **values})


CASES: dict[str, DecoderSettings] = {
    **{
        f"attend-{score}-{kind}-{cell}": _attend(score=score, kind=kind, cell=cell)
        for score, kind, cell in itertools.product(list(SCORES), ("soft", "hard"), ("lstm", "gru"))
    },
    **{
        f"attend-gate={gate}-deep={deep}-tied={tied}": _attend(gate=gate, deep_output=deep, tied=tied, hidden=6)
        for gate, deep, tied in itertools.product((True, False), repeat=3)
    },
    "attend-embedding-dropout": _attend(embedding_dropout=0.4, hidden=5),
    "repeat": RepeatSettings(hidden=5),
    "repeat-gru-bottleneck": RepeatSettings(hidden=5, cell="gru", image_vector=2),
    "feedback": FeedbackSettings(hidden=5, embedding=7),
    "feedback-gru-bottleneck": FeedbackSettings(hidden=5, embedding=7, cell="gru", image_vector=2, tied=False),
    "luong": LuongSettings(hidden=6, embedding=7, attention=8, layers=2),
    "luong-unfed-local": LuongSettings(hidden=6, embedding=7, input_feeding=False, kind="local-p", window=2),
    "rnnsearch": RnnSearchSettings(hidden=6, embedding=7, attention=8, readout=4),
    "rnnencdec": RnnEncDecSettings(hidden=6, embedding=7, readout=4),
    "transformer": TransformerDecoderSettings(dim=8, layers=2, heads=2, feed_forward=10),
}


@pytest.fixture(params=CASES)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    """With parameters large enough for every weight and every logit to differ clearly."""
    torch.manual_seed(0)
    built = build_decoder(CASES[request.param], dim=DIM, vocabulary_size=VOCABULARY).eval()
    for parameter in built.parameters():
        torch.nn.init.uniform_(parameter, -0.6, 0.6)
    return built


@pytest.fixture
def annotations() -> Annotations:
    """Inputs of 7, 2, 5 and 1 positions, with rubbish on the padding."""
    values = torch.randn(BATCH, max(POSITIONS), DIM, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(max(POSITIONS)) < torch.tensor(POSITIONS).unsqueeze(1)
    return Annotations(values.masked_fill(~mask.unsqueeze(-1), 1e3), mask)


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(0, VOCABULARY, (BATCH, ROWS, TIME), generator=torch.Generator().manual_seed(2))


def walk(decoder: Decoder, state: State, tokens: Tensor) -> tuple[Tensor, Tensor, State]:
    """Logits and weights of every step, [batch, rows, time, ...], and the last state."""
    logits, weights = [], []
    for t in range(tokens.shape[2]):
        step = decoder.step(state, tokens[:, :, t])
        state = step.state
        logits.append(step.logits)
        weights.append(step.weights)
    return torch.stack(logits, dim=2), torch.stack(weights, dim=2), state


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_stepping_equals_the_teacher_forced_pass(decoder, annotations, tokens):
    logits, weights, state = walk(decoder, decoder.start(annotations, rows=ROWS), tokens)
    at_once, looked = decoder(annotations, tokens)
    assert at_once.shape == (BATCH, ROWS, TIME, VOCABULARY)
    assert looked.shape == (BATCH, ROWS, TIME, max(POSITIONS))
    assert state.length == TIME
    assert_close(logits, at_once)
    assert_close(weights, looked)


@pytest.mark.parametrize(
    "lengths",
    [None, [[6, 4, 2], [5, 3, 1], [4, 4, 4], [1, 1, 1]], [[1, 2, 3], [6, 1, 1], [2, 5, 1], [3, 3, 3]]],
    ids=["full", "sorted", "unsorted"],
)
def test_the_fast_teacher_forced_pass_equals_the_loop_over_steps(decoder, annotations, tokens, lengths, monkeypatch):
    monkeypatch.setenv("REGARD_REFERENCE", "0")
    lengths = None if lengths is None else torch.tensor(lengths)
    expected, found = (
        decoder.trace(annotations, tokens, lengths),
        for_training(decoder).trace(annotations, tokens, lengths),
    )
    real = torch.arange(TIME) < (torch.tensor([[TIME]]) if lengths is None else lengths).unsqueeze(-1)
    real = real.expand(BATCH, ROWS, TIME)
    assert found.readouts.shape == expected.readouts.shape
    assert_close(found.readouts[real], expected.readouts[real])
    assert_close(found.weights[real], expected.weights[real])


def test_weights_sum_to_one_and_are_exactly_zero_on_padding(decoder, annotations, tokens):
    _, weights = decoder(annotations, tokens)
    assert_close(weights.sum(dim=-1), torch.ones(BATCH, ROWS, TIME))
    for input_weights, positions in zip(weights, POSITIONS, strict=True):
        assert not input_weights[..., positions:].any()
        assert decoder.attends or torch.equal(
            input_weights[..., :positions], torch.full((ROWS, TIME, positions), 1 / positions)
        )


def test_the_vocabulary_layer_is_the_product_of_the_logits(decoder, annotations, tokens):
    readouts = decoder.trace(annotations, tokens).readouts
    layer = decoder.vocabulary_layer()
    assert layer is not None
    assert_close(torch.nn.functional.linear(readouts, *layer), decoder.logits(readouts))


def test_two_interleaved_decodes_equal_two_separate_ones(decoder, annotations, tokens):
    others = Annotations(annotations.values.flip(0).tanh())
    alone, _, _ = walk(decoder, decoder.start(annotations, rows=ROWS), tokens)
    alone_too, _, _ = walk(decoder, decoder.start(others, rows=ROWS), tokens.flip(2))
    kept = set(vars(decoder))
    one, two = decoder.start(annotations, rows=ROWS), decoder.start(others, rows=ROWS)
    for t in range(TIME):
        first = decoder.step(one, tokens[:, :, t])
        second = decoder.step(two, tokens.flip(2)[:, :, t])
        one, two = first.state, second.state
        assert torch.equal(first.logits, alone[:, :, t])
        assert torch.equal(second.logits, alone_too[:, :, t])
    assert set(vars(decoder)) == kept


def test_a_state_can_be_used_twice(decoder, annotations, tokens):
    _, _, state = walk(decoder, decoder.start(annotations, rows=ROWS), tokens[:, :, :3])
    first = decoder.step(state, tokens[:, :, 3])
    decoder.step(first.state, tokens[:, :, 4])
    assert torch.equal(decoder.step(state, tokens[:, :, 3]).logits, first.logits)


def test_an_input_does_not_see_its_batch_or_its_padding(decoder, annotations, tokens):
    logits, weights = decoder(annotations, tokens)
    for i, positions in enumerate(POSITIONS):
        alone = Annotations(annotations.values[i : i + 1, :positions])
        own_logits, own_weights = decoder(alone, tokens[i : i + 1])
        assert_close(logits[i : i + 1], own_logits)
        assert_close(weights[i : i + 1, ..., :positions], own_weights)


def test_a_permuted_batch_gives_permuted_results(decoder, annotations, tokens):
    order = torch.tensor([2, 0, 3, 1])
    logits, weights = decoder(annotations, tokens)
    permuted, looked = decoder(annotations.select(order), tokens[order])
    assert_close(permuted, logits[order])
    assert_close(looked, weights[order])


def test_rows_do_not_see_one_another(decoder, annotations, tokens):
    logits, _ = decoder(annotations, tokens)
    for row in range(ROWS):
        assert_close(decoder(annotations, tokens[:, row : row + 1])[0], logits[:, row : row + 1])


def test_a_word_does_not_see_the_words_behind_it(decoder, annotations, tokens):
    logits, _ = decoder(annotations, tokens)
    changed = tokens.clone()
    changed[:, :, 4:] = (changed[:, :, 4:] + 1) % VOCABULARY
    assert_close(decoder(annotations, changed)[0][:, :, :4], logits[:, :, :4])


@pytest.mark.parametrize(
    "lengths",
    [
        [[6, 4, 2], [5, 3, 1], [4, 4, 4], [1, 1, 1]],
        [[1, 2, 3], [6, 1, 1], [2, 5, 1], [3, 3, 3]],
        [[2, 1, 1], [2, 2, 2], [1, 1, 1], [1, 2, 1]],
    ],
    ids=["sorted", "unsorted", "short"],
)
def test_lengths_save_work_and_change_nothing(decoder, annotations, tokens, lengths):
    lengths = torch.tensor(lengths)
    full = decoder.trace(annotations, tokens)
    ragged = decoder.trace(annotations, tokens, lengths)
    real = torch.arange(TIME) < lengths.unsqueeze(-1)
    assert ragged.readouts.shape == full.readouts.shape
    assert ragged.weights.shape == full.weights.shape
    assert_close(decoder.logits(ragged.readouts[real]), decoder.logits(full.readouts[real]))
    assert_close(ragged.weights[real], full.weights[real])


def test_reordered_rows_continue_from_their_parents(decoder, annotations, tokens):
    _, _, state = walk(decoder, decoder.start(annotations, rows=ROWS), tokens[:, :, :4])
    parents = torch.tensor([[2, 2, 0], [1, 0, 2], [0, 0, 0], [1, 1, 2]])
    ancestors = tokens.gather(1, parents.unsqueeze(-1).expand(-1, -1, TIME))
    ancestors[:, :, 4:] = tokens[:, :, 4:]
    continued, weights, _ = walk(decoder, state.reorder(parents), ancestors[:, :, 4:])
    whole, looked = decoder(annotations, ancestors)
    assert_close(continued, whole[:, :, 4:])
    assert_close(weights, looked[:, :, 4:])


def test_one_row_can_become_many(decoder, annotations, tokens):
    many, _, _ = walk(decoder, decoder.start(annotations, rows=ROWS), tokens)
    grown = decoder.start(annotations).reorder(torch.zeros(BATCH, ROWS, dtype=torch.long))
    assert_close(walk(decoder, grown, tokens)[0], many)


def test_selected_inputs_go_on_alone(decoder, annotations, tokens):
    logits, weights, _ = walk(decoder, decoder.start(annotations, rows=ROWS), tokens)
    _, _, state = walk(decoder, decoder.start(annotations, rows=ROWS), tokens[:, :, :2])
    staying = torch.tensor([0, 2])
    rest, looked, _ = walk(decoder, state.select(staying), tokens[staying][:, :, 2:])
    assert_close(rest, logits[staying][:, :, 2:])
    assert_close(looked, weights[staying][:, :, 2:])


def test_every_parameter_learns(decoder, annotations, tokens):
    clean = Annotations(annotations.values.masked_fill(~annotations.mask.unsqueeze(-1), 0.0), annotations.mask)
    logits, weights = decoder(clean, tokens)
    (logits.square().sum() + weights.square().sum()).backward()
    unused = [name for name, parameter in decoder.named_parameters() if parameter.grad is None]
    assert unused == []
    assert all(parameter.grad.isfinite().all() for parameter in decoder.parameters())
