import pytest
import torch
from torch import nn

from regard.annotations import Annotations
from regard.decoders.attend import AttendDecoder, AttendSettings
from regard.errors import ConfigError

DIM, VOCABULARY = 9, 12


def build(**values):
    torch.manual_seed(0)
    settings = AttendSettings(**{"embedding": 6, "hidden": 7, "attention": 8, **values})
    return AttendDecoder(settings, dim=DIM, vocabulary_size=VOCABULARY).eval()


@pytest.fixture
def annotations():
    mask = torch.arange(5) < torch.tensor([5, 3, 1]).unsqueeze(1)
    return Annotations(torch.randn(3, 5, DIM, generator=torch.Generator().manual_seed(1)), mask)


@pytest.fixture
def tokens():
    return torch.randint(0, VOCABULARY, (3, 4, 6), generator=torch.Generator().manual_seed(2))


def test_options_leave_no_unused_parameters():
    plain = dict(build(gate=False, deep_output=False, cell="gru").named_parameters())
    assert not [name for name in plain if name.startswith(("w_beta", "L_z", "start_states.c"))]
    tied, untied = build(tied=True), build(tied=False)
    assert tied.L_o.weight is tied.E.weight
    assert untied.L_o.weight is not untied.E.weight


@pytest.mark.parametrize("score", ["dot", "scaled_dot"])
def test_a_dot_needs_equal_sizes(score):
    with pytest.raises(ConfigError, match=r"query of 7 numbers with annotations of 9.*equal sizes"):
        build(score=score)
    assert build(score=score, hidden=DIM).attends


def test_unknown_words_are_refused_by_the_settings():
    for values in ({"score": "cosine"}, {"kind": "medium"}, {"cell": "rnn"}, {"dropout": 1.0}, {"hidden": 0}):
        with pytest.raises(ValueError, match=next(iter(values))):
            AttendSettings.model_validate(values)


def test_the_state_begins_at_the_mean_of_real_positions(annotations):
    decoder = build()
    state = decoder.start(annotations, rows=2)
    for name in ("h", "c"):
        layer = decoder.start_states[name]
        for b, count in enumerate((5, 3, 1)):
            expected = torch.tanh(layer(annotations.values[b, :count].mean(dim=0)))
            torch.testing.assert_close(state.rows[name][b], expected.expand(2, -1))


def test_captions_of_one_image_equal_copies_of_the_image(annotations, tokens):
    decoder = build()
    logits, weights = decoder(annotations, tokens)
    copies = annotations.select(torch.arange(3).repeat_interleave(4))
    copied, looked = decoder(copies, tokens.flatten(0, 1).unsqueeze(1))
    torch.testing.assert_close(copied.view_as(logits), logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(looked.view_as(weights), weights, atol=1e-5, rtol=1e-5)


def test_keys_are_projected_once_per_input(annotations, tokens):
    decoder = build()
    calls = []
    decoder.attention.score.U.register_forward_hook(lambda *_: calls.append(1))
    decoder(annotations, tokens)
    state = decoder.start(annotations, rows=4)
    for t in range(tokens.shape[2]):
        state = decoder.step(state, tokens[:, :, t]).state
    assert len(calls) == 2


def test_a_closed_gate_hides_the_picture_from_the_words(annotations, tokens):
    decoder = build()
    nn.init.zeros_(decoder.w_beta.weight)
    nn.init.constant_(decoder.w_beta.bias, -200.0)
    for layer in decoder.start_states.values():
        nn.init.zeros_(layer.weight)
    other = Annotations(annotations.values.flip(1) * 3, annotations.mask.flip(1).sort(descending=True).values)
    assert torch.equal(decoder(annotations, tokens)[0], decoder(other, tokens)[0])


def test_dropout_works_in_training_only(annotations, tokens):
    decoder = build(dropout=0.5, embedding_dropout=0.3)
    assert torch.equal(decoder(annotations, tokens)[0], decoder(annotations, tokens)[0])
    decoder.train()
    assert not torch.allclose(decoder(annotations, tokens)[0], decoder(annotations, tokens)[0])


def test_weights_end_with_their_row(annotations, tokens):
    lengths = torch.tensor([[6, 4, 2, 1], [3, 3, 1, 1], [2, 1, 1, 1]])
    weights = build().trace(annotations, tokens, lengths).weights
    assert weights.shape == (3, 4, 6, 5)
    assert not weights[torch.arange(6) >= lengths.unsqueeze(-1)].any()


class TestHard:
    def test_evaluation_takes_the_most_probable_region(self, annotations, tokens):
        decoder = build(kind="hard")
        state = decoder.start(annotations, rows=4)
        step = decoder.step(state, tokens[..., 0])
        assert decoder.trace(annotations, tokens).log_choices is None
        assert torch.equal(decoder.step(state, tokens[..., 0]).logits, step.logits)
        chosen = annotations.values.gather(1, step.weights.argmax(-1, keepdim=True).expand(-1, -1, DIM))
        look = decoder.attention(state.rows["h"], state.memory)
        assert torch.equal(look.context, chosen)

    def test_training_samples_regions_and_tells_their_probability(self, annotations, tokens):
        decoder = build(kind="hard", dropout=0.0).train()
        torch.manual_seed(3)
        trace = decoder.trace(annotations, tokens)
        assert trace.log_choices.shape == (3, 4, 6)
        probabilities = trace.log_choices.exp()
        # about half of the looks take the expectation instead, which has no choice to tell
        expected = trace.log_choices == 0
        assert 0.3 < expected[:2].float().mean() < 0.7
        nearest = (trace.weights - probabilities.unsqueeze(-1)).abs().amin(dim=-1)
        assert nearest[~expected].max() < 1e-6

    def test_samples_never_lie_on_padding(self, annotations):
        decoder = build(kind="hard").train()
        marked = Annotations(annotations.values.masked_fill(~annotations.mask.unsqueeze(-1), 1e6), annotations.mask)
        torch.manual_seed(4)
        memory = decoder.attention.remember(marked)
        look = decoder.attention(torch.randn(3, 200, 7), memory)
        assert look.context.abs().max() < 1e3

    def test_choices_end_with_their_row(self, annotations, tokens):
        decoder = build(kind="hard").train()
        torch.manual_seed(5)
        lengths = torch.tensor([[6, 1, 1, 1], [2, 1, 1, 1], [1, 1, 1, 1]])
        log_choices = decoder.trace(annotations, tokens, lengths).log_choices
        assert log_choices.shape == (3, 4, 6)
        assert not log_choices[1:, :, 2:].any()
