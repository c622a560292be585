"""Search on every family of decoder: the batch, the padding and the reordering change nothing."""

from __future__ import annotations

import pytest
import torch

from regard.annotations import Annotations
from regard.decoders import Decoder, DecoderSettings, build_decoder
from regard.decoders.attend import AttendSettings
from regard.decoders.luong import LuongSettings
from regard.decoders.rnnencdec import RnnEncDecSettings
from regard.decoders.rnnsearch import RnnSearchSettings
from regard.decoders.single_vector import FeedbackSettings, RepeatSettings
from regard.decoders.transformer import TransformerDecoderSettings
from regard.search import Hypothesis, SearchOptions, SpecialTokens, search
from regard.search.rollouts import sample_captions

DIM, VOCABULARY, BATCH = 8, 13, 32
TOKENS = SpecialTokens(bos=1, eos=2, forbidden=(0, 1, 3))

CASES: dict[str, DecoderSettings] = {
    "attend": AttendSettings(embedding=6, hidden=7, attention=5),
    "attend-hard-gru": AttendSettings(embedding=6, hidden=7, attention=5, kind="hard", cell="gru"),
    "repeat": RepeatSettings(hidden=7),
    "feedback": FeedbackSettings(hidden=7, embedding=6),
    "luong": LuongSettings(hidden=6, embedding=7, layers=2),
    "rnnsearch": RnnSearchSettings(hidden=6, embedding=7, attention=8, readout=4),
    "rnnencdec": RnnEncDecSettings(hidden=6, embedding=7, readout=4),
    "transformer": TransformerDecoderSettings(dim=8, layers=2, heads=2, feed_forward=10),
}

OPTIONS = {
    "greedy": SearchOptions(beam=1, max_length=9),
    "beam": SearchOptions(beam=4, alternatives=3, max_length=9),
    "filters": SearchOptions(beam=3, no_repeat=2, min_length=3, max_length=9, length_normalisation=1.0),
    "groups": SearchOptions(beam=4, groups=2, alternatives=4, max_length=9),
    "samples": SearchOptions(samples=3, temperature=0.7, top_k=6, top_p=0.9, max_length=9),
}


@pytest.fixture(params=CASES)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    torch.manual_seed(0)
    built = build_decoder(CASES[request.param], dim=DIM, vocabulary_size=VOCABULARY).eval()
    for parameter in built.parameters():
        torch.nn.init.uniform_(parameter, -0.9, 0.9)
    return built


@pytest.fixture
def annotations() -> Annotations:
    generator = torch.Generator().manual_seed(1)
    counts = torch.randint(1, 8, (BATCH, 1), generator=generator)
    counts[5] = 7
    return Annotations(torch.randn(BATCH, 7, DIM, generator=generator), torch.arange(7) < counts)


def unpadded(annotations: Annotations, index: int) -> Annotations:
    return Annotations(annotations.values[index : index + 1, : int(annotations.mask[index].sum())])


def assert_same(one: Hypothesis, other: Hypothesis) -> None:
    assert one.tokens == other.tokens
    assert one.finished == other.finished
    assert one.score == pytest.approx(other.score, abs=1e-5)
    assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-5)
    torch.testing.assert_close(one.weights, other.weights, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "every"), [("beam", 1), ("greedy", 5), ("filters", 5), ("groups", 5), ("samples", 5)])
def test_a_batch_of_32_equals_32_batches_of_1(decoder, annotations, name, every):
    options = OPTIONS[name]
    together = search(decoder, annotations, options, tokens=TOKENS)
    assert len(together) == BATCH
    for i in range(0, BATCH, every):
        (alone,) = search(decoder, unpadded(annotations, i), options, tokens=TOKENS, numbers=[i])
        assert len(alone) == len(together[i]) == (options.samples or options.alternatives)
        for one, other in zip(together[i], alone, strict=True):
            assert_same(one, other)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_hypotheses_are_what_the_decoder_says_when_told_to(decoder, annotations, options):
    """Probabilities and weights equal a teacher-forced pass over the words that were found."""
    for i, hypotheses in list(enumerate(search(decoder, annotations, options, tokens=TOKENS)))[::3]:
        for hypothesis in hypotheses[:2]:
            said = [TOKENS.bos, *hypothesis.tokens]
            logits, weights = decoder(unpadded(annotations, i), torch.tensor([[said]]))
            log_probabilities = torch.log_softmax(logits[0, 0], dim=-1).detach()
            expected = [float(log_probabilities[t, word]) for t, word in enumerate(hypothesis.tokens)]
            assert hypothesis.log_probabilities == pytest.approx(expected, abs=1e-5)
            end = float(log_probabilities[-1, TOKENS.eos]) if hypothesis.finished else 0.0
            assert hypothesis.log_probability == pytest.approx(sum(expected) + end, abs=1e-4)
            looks = weights[0, 0, : len(hypothesis.tokens)]
            torch.testing.assert_close(hypothesis.weights, looks, atol=1e-5, rtol=1e-4)
            length = len(hypothesis.tokens) + hypothesis.finished
            score = hypothesis.log_probability / length**options.length_normalisation
            assert hypothesis.score == pytest.approx(score, abs=1e-5)
            assert not set(hypothesis.tokens) & {*TOKENS.forbidden, TOKENS.eos}


def test_prefixes_steer_every_decoder(decoder, annotations):
    prefixes = [[4 + i % 5] * (i % 4) for i in range(BATCH)]
    found = search(decoder, annotations, OPTIONS["beam"], tokens=TOKENS, prefixes=prefixes)
    for prefix, hypotheses in zip(prefixes, found, strict=True):
        assert all(list(h.tokens[: len(prefix)]) == prefix for h in hypotheses)


def test_captions_for_training_can_be_drawn(decoder, annotations):
    generator = torch.Generator().manual_seed(7)
    said, lengths = sample_captions(decoder, annotations, 3, tokens=TOKENS, max_length=9, generator=generator)
    assert said.shape[:2] == lengths.shape == (BATCH, 3)
    last = said.gather(2, (lengths - 1).unsqueeze(-1)).squeeze(-1)
    assert bool(((last == TOKENS.eos) | (lengths == 9)).all())
