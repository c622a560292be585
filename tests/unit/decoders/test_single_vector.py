from dataclasses import replace

import pytest
import torch

from regard.annotations import Annotations
from regard.decoders.single_vector import FeedbackDecoder, FeedbackSettings, RepeatDecoder, RepeatSettings

DIM, VOCABULARY = 6, 10


@pytest.fixture
def annotations():
    return Annotations(torch.randn(3, 4, DIM, generator=torch.Generator().manual_seed(0)))


@pytest.fixture
def tokens():
    return torch.randint(0, VOCABULARY, (3, 2, 5), generator=torch.Generator().manual_seed(1))


def repeat(**values):
    torch.manual_seed(2)
    return RepeatDecoder(RepeatSettings(hidden=7, **values), dim=DIM, vocabulary_size=VOCABULARY).eval()


def feedback(**values):
    torch.manual_seed(2)
    settings = FeedbackSettings(**{"hidden": 7, "embedding": 8, **values})
    return FeedbackDecoder(settings, dim=DIM, vocabulary_size=VOCABULARY).eval()


def test_repeat_never_sees_its_own_words(annotations, tokens):
    decoder = repeat()
    logits, _ = decoder(annotations, tokens)
    others, _ = decoder(annotations, tokens.flip(2))
    assert torch.equal(logits, others)
    torch.testing.assert_close(logits[:, 0], logits[:, 1])
    state = decoder.start(annotations, rows=2)
    first, second = decoder.step(state, tokens[..., 0]), decoder.step(state, tokens[..., 1])
    assert torch.equal(first.logits, second.logits)


def test_repeat_sees_the_vector_at_every_step(annotations, tokens):
    decoder = repeat()
    state = decoder.start(annotations, rows=2)
    changed = replace(state, rows={**state.rows, "x": state.rows["x"] + 1})
    assert not torch.allclose(decoder.step(state, tokens[..., 0]).logits, decoder.step(changed, tokens[..., 0]).logits)
    later = decoder.step(decoder.step(state, tokens[..., 0]).state, tokens[..., 0]).state
    assert torch.equal(later.rows["x"], state.rows["x"])


def test_feedback_sees_its_own_words_and_the_vector_only_at_the_start(annotations, tokens):
    decoder = feedback()
    logits, _ = decoder(annotations, tokens)
    changed = tokens.clone()
    changed[:, :, 2] = (changed[:, :, 2] + 1) % VOCABULARY
    others, _ = decoder(annotations, changed)
    assert torch.equal(logits[:, :, :2], others[:, :, :2])
    assert (logits[:, :, 2:] - others[:, :, 2:]).abs().amax(dim=(0, 1, 3)).gt(1e-6).all()
    assert set(decoder.start(annotations).rows) == {"h", "c"}


@pytest.mark.parametrize("build", [repeat, feedback])
def test_both_see_only_the_mean_unless_there_is_a_summary(build, annotations, tokens):
    decoder = build()
    logits, _ = decoder(annotations, tokens)
    mean = annotations.values.mean(dim=1, keepdim=True)
    torch.testing.assert_close(decoder(Annotations(mean), tokens)[0], logits)
    given = Annotations(torch.zeros_like(annotations.values), summary=mean.squeeze(1))
    torch.testing.assert_close(decoder(given, tokens)[0], logits)


@pytest.mark.parametrize("build", [repeat, feedback])
def test_the_bottleneck_narrows_the_vector(build, annotations, tokens):
    decoder = build(image_vector=2)
    assert decoder.bottleneck.weight.shape == (2, DIM)
    weight = decoder.bottleneck.weight
    # what the two numbers do not hold is not seen
    unseen = torch.linalg.svd(weight, full_matrices=True)[2][-1]
    moved = Annotations(annotations.values + 5 * unseen)
    torch.testing.assert_close(decoder(moved, tokens)[0], decoder(annotations, tokens)[0], atol=1e-5, rtol=1e-5)


def test_feedback_shares_its_matrix_where_asked():
    tied, untied = feedback(), feedback(tied=False)
    assert tied.W_o.weight is tied.E.weight
    assert untied.W_o.weight is not untied.E.weight


def test_dropout_differs_between_the_captions_of_an_input(annotations, tokens):
    torch.manual_seed(3)
    logits, _ = repeat(dropout=0.5).train()(annotations, tokens)
    assert not torch.allclose(logits[:, 0], logits[:, 1])
