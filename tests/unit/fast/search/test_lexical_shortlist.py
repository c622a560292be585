"""Restricted steps are those of the decoder with all other words forbidden, whatever else is in the batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.decoders import Decoder, DecoderSettings, build_decoder
from regard.decoders.attend import AttendSettings
from regard.decoders.base import State, Step
from regard.decoders.luong import LuongSettings
from regard.decoders.rnnsearch import RnnSearchSettings
from regard.fast import for_search
from regard.fast.search.lexical_shortlist import SharedTokens, ShortlistStepper
from regard.ops.linear import InferencePrecision
from regard.search import SearchOptions, SpecialTokens, search

DIM, VOCABULARY, BATCH = 9, 40, 4
SIZES = {"embedding": 7, "hidden": 9}
CASES: dict[str, DecoderSettings] = {
    "rnnsearch": RnnSearchSettings(**SIZES, attention=8, readout=4),
    "rnnsearch-biases-tied": RnnSearchSettings(**SIZES, attention=8, readout=7, biases=True, tied=True),
    "attend": AttendSettings(**SIZES, attention=8),
    "luong": LuongSettings(**SIZES, tied=False),
}


@pytest.fixture(params=CASES)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    torch.manual_seed(0)
    decoder = build_decoder(CASES[request.param], dim=DIM, vocabulary_size=VOCABULARY).eval().requires_grad_(False)
    for parameter in decoder.parameters():
        torch.nn.init.uniform_(parameter, -0.9, 0.9)
    return decoder


@pytest.fixture
def inputs() -> Annotations:
    return Annotations(torch.randn(BATCH, 6, DIM, generator=torch.Generator().manual_seed(1)))


@pytest.fixture
def allowed() -> Tensor:
    """The specials and a quarter of the others, more for the last input."""
    chance = torch.rand(BATCH, VOCABULARY, generator=torch.Generator().manual_seed(2))
    allowed = chance < torch.tensor([0.25, 0.25, 0.25, 0.5]).unsqueeze(1)
    allowed[:, :4] = True
    assert not allowed.any(dim=0).all()
    return allowed


class Masked:
    """The same in the numbers of the whole vocabulary, for a batch of one: what restriction means."""

    def __init__(self, decoder: Decoder, allowed: Tensor) -> None:
        self.decoder, self.allowed, self.vocabulary_size = decoder, allowed, VOCABULARY

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        return self.decoder.start(annotations, rows=rows)

    def step(self, state: State, tokens: Tensor) -> Step:
        step = self.decoder.step(state, tokens)
        return Step(step.logits.masked_fill(~self.allowed, float("-inf")), step.state, step.weights)


def restricted(decoder: Decoder, allowed: Tensor, precision: InferencePrecision = "float32") -> ShortlistStepper:
    """With what all inputs may say as the shared words."""
    shared = allowed.all(dim=0).nonzero().squeeze(1).tolist()
    own = [row.nonzero().squeeze(1).tolist() for row in allowed]
    return ShortlistStepper(SharedTokens(for_search(decoder, precision=precision), shared), own)


def test_steps_are_those_of_the_decoder(decoder: Decoder, inputs: Annotations, allowed: Tensor) -> None:
    stepper = restricted(decoder, allowed)
    generator, kept = torch.Generator().manual_seed(3), torch.arange(BATCH)
    state, expected = stepper.start(inputs, rows=2), decoder.start(inputs, rows=2)
    for t in range(4):
        tokens = torch.stack([row.nonzero().squeeze(1)[torch.randperm(8, generator=generator)[:2]] for row in allowed])
        numbers = torch.tensor([stepper.to_shortlist(each, tokens[each].tolist()) for each in kept.tolist()])
        step, whole = stepper.step(state, numbers), decoder.step(expected, tokens[kept])
        assert step.logits.shape[-1] == stepper.vocabulary_size < VOCABULARY
        for row, each in enumerate(kept.tolist()):
            words = allowed[each].nonzero().squeeze(1)
            places = list(stepper.to_shortlist(each, words.tolist()))
            torch.testing.assert_close(step.logits[row][:, places], whole.logits[row][:, words], atol=1e-5, rtol=1e-5)
            others = [place for place in range(stepper.vocabulary_size) if place not in places]
            assert (step.logits[row][:, others] == float("-inf")).all()
        torch.testing.assert_close(step.weights, whole.weights, atol=1e-5, rtol=1e-5)
        parents = torch.randint(0, 2, (len(kept), 2), generator=generator)
        state, expected = step.state.reorder(parents), whole.state.reorder(parents)
        if t == 1:
            left = torch.tensor([0, 2, 3])
            state, expected, kept = state.select(left), expected.select(left), kept[left]


@pytest.mark.parametrize(
    ("options", "prefix"),
    [
        ({"beam": 4, "alternatives": 4}, ()),
        ({"beam": 3, "alternatives": 2, "no_repeat": 1, "min_length": 2}, ()),
        ({"beam": 4, "groups": 2, "alternatives": 3}, ()),
        ({"beam": 2}, (3, 1, 20, 37)),
    ],
)
def test_every_search_says_what_it_says_alone_with_all_else_forbidden(
    decoder: Decoder, inputs: Annotations, allowed: Tensor, options: dict[str, Any], prefix: tuple[int, ...]
) -> None:
    chosen = SearchOptions(max_length=6, **options)
    allowed[:, list(prefix)] = True
    together = restricted(decoder, allowed)
    bos, eos, *never = together.to_shortlist(0, [1, 2, 0, 1, 3])
    own = SpecialTokens(bos=bos, eos=eos, forbidden=tuple(never))
    begun = [together.to_shortlist(each, prefix) for each in range(BATCH)]
    drawn = search(together, inputs, chosen, tokens=own, prefixes=begun)
    for number, ours in enumerate(drawn):
        alone = Masked(decoder, allowed[number])
        one = inputs.select(torch.tensor([number]))
        (theirs,) = search(alone, one, chosen, tokens=SpecialTokens(), prefixes=[prefix], numbers=[number])
        assert [together.to_vocabulary(number, each.tokens) for each in ours] == [each.tokens for each in theirs]
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.log_probability == pytest.approx(other.log_probability, abs=1e-4)
            torch.testing.assert_close(mine.weights, other.weights, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("case", ["rnnsearch-biases-tied", "rnnsearch", "attend"])
def test_many_own_words_are_taken_from_the_whole_product(
    inputs: Annotations, allowed: Tensor, case: str, precision: InferencePrecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGARD_REFERENCE", "0")  # decoders that step by themselves have no such product
    torch.manual_seed(0)
    decoder = build_decoder(CASES[case], dim=DIM, vocabulary_size=VOCABULARY).eval()
    tokens, found = torch.ones(BATCH, 1, dtype=torch.long), []
    for most in (4, 0):
        monkeypatch.setattr("regard.fast.search.lexical_shortlist.MOST_OWN", most)
        stepper = restricted(decoder, allowed, precision)
        with torch.inference_mode():
            state = stepper.start(inputs)
            assert (state.own is None) == (most == 0)
            step = stepper.step(state.select(torch.tensor([1, 3])), tokens[:2])
        found.append(step.logits)
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-5)


def test_samples_do_not_depend_on_the_batch(decoder: Decoder, inputs: Annotations, allowed: Tensor) -> None:
    options = SearchOptions(max_length=6, samples=3, top_k=4, temperature=2.0)
    together = restricted(decoder, allowed)
    found = search(together, inputs, options, tokens=SpecialTokens())
    for number in range(BATCH):
        shared = allowed.all(dim=0).nonzero().squeeze(1).tolist()
        alone = ShortlistStepper(
            SharedTokens(for_search(decoder), shared), [allowed[number].nonzero().squeeze(1).tolist()]
        )
        one = inputs.select(torch.tensor([number]))
        (expected,) = search(alone, one, options, tokens=SpecialTokens(), numbers=[number])
        assert [together.to_vocabulary(number, each.tokens) for each in found[number]] == [
            alone.to_vocabulary(0, each.tokens) for each in expected
        ]


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_lower_precisions_are_near(precision: InferencePrecision, inputs: Annotations, allowed: Tensor) -> None:
    torch.manual_seed(0)
    decoder = build_decoder(CASES["rnnsearch"], dim=DIM, vocabulary_size=VOCABULARY).eval()
    near, exact = (restricted(decoder, allowed, each) for each in (precision, "float32"))
    tokens = torch.ones(BATCH, 1, dtype=torch.long)
    with torch.inference_mode():
        one, other = (each.step(each.start(inputs), tokens).logits for each in (near, exact))
    real = other > float("-inf")
    assert (real == (one > float("-inf"))).all()
    assert 0 < (one - other)[real].abs().max() < 0.1


def test_inputs_without_words_of_their_own_and_the_whole_stepper_serve_on(inputs: Annotations) -> None:
    torch.manual_seed(0)
    decoder = build_decoder(CASES["rnnsearch"], dim=DIM, vocabulary_size=VOCABULARY).eval().requires_grad_(False)
    stepper, tokens = for_search(decoder), torch.ones(BATCH, 1, dtype=torch.long)
    before = stepper.step(stepper.start(inputs), tokens).logits
    few = ShortlistStepper(SharedTokens(stepper, range(7)), [[3, 5]] * BATCH)
    torch.testing.assert_close(few.step(few.start(inputs), tokens).logits, before[..., :7], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(stepper.step(stepper.start(inputs), tokens).logits, before)
