"""Restricted steps are those of the decoder with all other words forbidden, whatever else is in the batch."""

from __future__ import annotations

from dataclasses import replace
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
from regard.decoders.stepping import build_stepper
from regard.decoders.stepping.restricted import RestrictedStepper
from regard.kernels.products import InferencePrecision
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
        return replace(step, logits=step.logits.masked_fill(~self.allowed, float("-inf")))


def test_steps_are_those_of_the_decoder(decoder: Decoder, inputs: Annotations, allowed: Tensor) -> None:
    restricted = RestrictedStepper(build_stepper(decoder), allowed)
    generator, kept = torch.Generator().manual_seed(3), torch.arange(BATCH)
    state, expected = restricted.start(inputs, rows=2), decoder.start(inputs, rows=2)
    for t in range(4):
        tokens = torch.randint(0, len(restricted.words), (len(kept), 2), generator=generator)
        step, whole = restricted.step(state, tokens), decoder.step(expected, restricted.words[tokens])
        logits = whole.logits.masked_fill(~allowed[kept].unsqueeze(1), float("-inf"))[..., restricted.words]
        torch.testing.assert_close(step.logits, logits, atol=1e-5, rtol=1e-5)
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
        ({"beam": 2}, (3, 1)),
        ({"samples": 3, "top_k": 4, "temperature": 2.0}, ()),
    ],
)
def test_every_search_says_what_it_says_alone_with_all_else_forbidden(
    decoder: Decoder, inputs: Annotations, allowed: Tensor, options: dict[str, Any], prefix: tuple[int, ...]
) -> None:
    chosen = SearchOptions(max_length=6, **options)
    together = RestrictedStepper(build_stepper(decoder), allowed)
    bos, eos, *never = together.numbers([1, 2, 0, 1, 3])
    own = SpecialTokens(bos=bos, eos=eos, forbidden=tuple(never))
    begun = [together.numbers(prefix)] * BATCH
    drawn = search(together, inputs, chosen, tokens=own, prefixes=begun)
    for number, ours in enumerate(drawn):
        alone = Masked(decoder, allowed[number])
        one = inputs.select(torch.tensor([number]))
        (theirs,) = search(alone, one, chosen, tokens=SpecialTokens(), prefixes=[prefix], numbers=[number])
        assert [together.named(each.tokens) for each in ours] == [each.tokens for each in theirs]
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.log_probability == pytest.approx(other.log_probability, abs=1e-4)
            torch.testing.assert_close(mine.weights, other.weights, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_lower_precisions_are_near(precision: InferencePrecision, inputs: Annotations, allowed: Tensor) -> None:
    torch.manual_seed(0)
    decoder = build_decoder(CASES["rnnsearch"], dim=DIM, vocabulary_size=VOCABULARY).eval()
    near, exact = (
        RestrictedStepper(build_stepper(decoder, precision=each), allowed) for each in (precision, "float32")
    )
    tokens = torch.ones(BATCH, 1, dtype=torch.long)
    with torch.inference_mode():
        one, other = (each.step(each.start(inputs), tokens).logits for each in (near, exact))
    assert 0 < (one - other).nan_to_num(0).abs().max() < 0.1


def test_the_whole_stepper_serves_on(inputs: Annotations, allowed: Tensor) -> None:
    torch.manual_seed(0)
    decoder = build_decoder(CASES["rnnsearch"], dim=DIM, vocabulary_size=VOCABULARY).eval().requires_grad_(False)
    stepper = build_stepper(decoder)
    before = stepper.step(stepper.start(inputs), torch.ones(BATCH, 1, dtype=torch.long)).logits
    restricted = RestrictedStepper(stepper, allowed)
    assert restricted.step(restricted.start(inputs), torch.ones(BATCH, 1, dtype=torch.long)).logits.shape[-1] < 40
    after = stepper.step(stepper.start(inputs), torch.ones(BATCH, 1, dtype=torch.long)).logits
    torch.testing.assert_close(after, before)
    assert after.shape == (BATCH, 1, VOCABULARY)
