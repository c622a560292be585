"""A stepper says what its decoder says, whatever the options, the padding and the order of hypotheses."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.decoders import Decoder, DecoderSettings, build_decoder
from regard.decoders.attend import AttendSettings
from regard.decoders.base import EMPTY, Stepper
from regard.decoders.luong import LuongSettings
from regard.decoders.rnnencdec import RnnEncDecSettings
from regard.decoders.rnnsearch import RnnSearchSettings
from regard.decoders.single_vector import FeedbackSettings, RepeatSettings
from regard.decoders.transformer import TransformerDecoderSettings
from regard.errors import ConfigError
from regard.fast import for_search
from regard.fast.search.beam_state import ActiveStep
from regard.ops.cpu.compiled import NotCompiled, compiled_ops
from regard.scores import SCORES
from regard.search import SearchOptions, SpecialTokens, search

DIM, VOCABULARY, BATCH, ROWS, TIME = 9, 11, 4, 3, 5
POSITIONS = (7, 2, 5, 1)

SIZES = {"embedding": 7, "hidden": 9, "attention": 8}
CASES: dict[str, DecoderSettings] = {
    **{
        f"attend-{score}-{cell}": AttendSettings.model_validate({**SIZES, "score": score, "cell": cell})
        for score, cell in itertools.product(list(SCORES), ("lstm", "gru"))
    },
    **{
        f"attend-gate={gate}-deep={deep}": AttendSettings.model_validate(
            {**SIZES, "hidden": 6, "gate": gate, "deep_output": deep, "tied": False}
        )
        for gate, deep in itertools.product((True, False), repeat=2)
    },
    **{
        f"rnnsearch-{score}": RnnSearchSettings.model_validate({**SIZES, "score": score, "readout": 4})
        for score in list(SCORES)
    },
    **{
        f"luong-{score}-{cell}": LuongSettings.model_validate(
            {"embedding": 7, "hidden": 9, "attention": 8, "score": score, "cell": cell, "input_feeding": cell == "lstm"}
        )
        for score, cell in itertools.product(list(SCORES), ("lstm", "gru"))
    },
    "luong-gru-fed-tied": LuongSettings(embedding=6, hidden=6, cell="gru", tied=True),
    **{
        f"{name}-{cell}": settings.model_validate({"hidden": 6, "cell": cell, "image_vector": 5})
        for name, settings in (("repeat", RepeatSettings), ("feedback", FeedbackSettings))
        for cell in ("lstm", "gru")
    },
    "rnnencdec": RnnEncDecSettings(hidden=6, embedding=7, readout=4),
    "rnnencdec-biases-tied": RnnEncDecSettings(hidden=6, embedding=7, readout=7, biases=True, tied=True),
    **{
        f"transformer-look={look}-{positions}": TransformerDecoderSettings.model_validate(
            {
                "dim": 8,
                "layers": 2,
                "heads": 2,
                "feed_forward": 6,
                "look": look,
                "positions": positions,
                "tied": look == 0,
            }
        )
        for look, positions in ((0, "sinusoidal"), (-1, "learned"))
    },
    "rnnsearch-biases-tied": RnnSearchSettings(hidden=6, embedding=7, attention=8, readout=7, biases=True, tied=True),
}


@pytest.fixture(autouse=True)
def fused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGARD_REFERENCE", "0")


def built(settings: DecoderSettings, *, size: float = 0.6) -> Decoder:
    torch.manual_seed(0)
    decoder = build_decoder(settings, dim=DIM, vocabulary_size=VOCABULARY).eval().requires_grad_(False)
    for parameter in decoder.parameters():
        torch.nn.init.uniform_(parameter, -size, size)
    return decoder


@pytest.fixture(params=CASES)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    return built(CASES[request.param])


def annotations(dtype: torch.dtype = torch.float32, *, size: float = 1.0) -> Annotations:
    """Inputs of 7, 2, 5 and 1 positions, with rubbish on the padding."""
    values = torch.randn(BATCH, max(POSITIONS), DIM, generator=torch.Generator().manual_seed(1)) * size
    mask = torch.arange(max(POSITIONS)) < torch.tensor(POSITIONS).unsqueeze(1)
    return Annotations(values.masked_fill(~mask.unsqueeze(-1), 50).to(dtype), mask)


def wander(stepper: Stepper, inputs: Annotations) -> tuple[list[Tensor], list[Tensor]]:
    """Logits and weights of a search that begins with one row, goes on with three, reorders them, and loses inputs."""
    generator = torch.Generator().manual_seed(2)
    state, rows, batch = stepper.start(inputs), 1, BATCH
    logits, weights = [], []
    for t in range(TIME):
        step = stepper.step(state, torch.randint(0, VOCABULARY, (batch, rows), generator=generator))
        logits.append(step.logits)
        weights.append(step.weights)
        parents = torch.randint(0, rows, (batch, ROWS), generator=generator)
        state, rows = step.state.reorder(parents), ROWS
        if t == 1:
            state = state.reorder(torch.tensor([2, 0, 2]).expand(batch, -1))
        if t == 2:
            kept = torch.tensor([0, 2, 3])
            state, batch = state.select(kept), len(kept)
    return logits, weights


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str)
def test_a_stepper_equals_its_decoder(decoder: Decoder, dtype: torch.dtype, tolerance: float) -> None:
    decoder = decoder.to(dtype)
    stepper = for_search(decoder)
    assert stepper is not decoder
    inputs = annotations(dtype)
    for ours, theirs in zip(wander(stepper, inputs), wander(decoder, inputs), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == dtype
            torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("case", ["attend-additive-lstm", "rnnsearch-additive", "luong-dot-gru"])
def test_a_stepper_that_looks_by_compiled_loops_equals_its_decoder(case: str) -> None:
    decoder, inputs = built(CASES[case]), annotations()
    try:
        with compiled_ops():
            found = wander(for_search(decoder), inputs)
    except NotCompiled as error:
        pytest.skip(f"nothing can be compiled here: {error}")
    for ours, theirs in zip(found, wander(decoder, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [60.0, 500.0], ids=["the queries", "the keys"])
def test_numbers_too_large_for_powers_are_scored_all_the_same(size: float) -> None:
    decoder = built(CASES["attend-additive-lstm"], size=2.0).double()
    inputs = annotations(torch.float64, size=1.0 if size < 100 else size)
    decoder.get_submodule("attention.score.W").weight.mul_(size)
    stepper = for_search(decoder)
    for one, other in zip(wander(stepper, inputs)[1], wander(decoder, inputs)[1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_lower_precisions_are_near(decoder: Decoder, precision: str) -> None:
    inputs = annotations()
    for one, other in zip(
        wander(for_search(decoder, precision=precision), inputs)[0], wander(decoder, inputs)[0], strict=True
    ):
        assert one.dtype == torch.float32
        assert 0 < (one - other).abs().max() < 0.1 * other.abs().max()


def test_two_interleaved_searches_equal_two_separate_ones(decoder: Decoder) -> None:
    stepper, tokens = for_search(decoder), torch.arange(4, 4 + TIME).view(-1, 1, 1).expand(-1, BATCH, 1)
    first, others = annotations(), Annotations(annotations().values.flip(0).tanh())

    def alone(inputs: Annotations) -> list[Tensor]:
        state, found = stepper.start(inputs), []
        for each in tokens:
            step = stepper.step(state, each)
            state = step.state
            found.append(step.logits)
        return found

    expected, expected_too = alone(first), alone(others)
    known = dict(vars(stepper))
    one, two = stepper.start(first), stepper.start(others)
    for t, each in enumerate(tokens):
        step, step_too = stepper.step(one, each), stepper.step(two, each)
        assert torch.equal(stepper.step(one, each).logits, step.logits), "a state can be used twice"
        one, two = step.state, step_too.state
        torch.testing.assert_close(step.logits, expected[t], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(step_too.logits, expected_too[t], atol=1e-6, rtol=1e-6)
    assert vars(stepper) == known


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_search_does_not_depend_on_its_batch(precision: str) -> None:
    decoder = built(CASES["rnnsearch-additive"], size=0.9)
    stepper = for_search(decoder, precision=precision)
    inputs, options = annotations(), SearchOptions(beam=3, max_length=8)
    tokens = SpecialTokens(bos=1, eos=2, forbidden=(0, 1, 3))
    together = search(stepper, inputs, options, tokens=tokens)
    for i, (found,) in enumerate(together):
        one = Annotations(inputs.values[i : i + 1, : POSITIONS[i]])
        ((alone,),) = search(stepper, one, options, tokens=tokens)
        assert alone.tokens == found.tokens
        assert alone.score == pytest.approx(found.score, abs=1e-5)


def test_empty_rows_cost_nothing_and_change_nothing(decoder: Decoder) -> None:
    stepper, inputs = for_search(decoder), annotations()
    state, expected = stepper.start(inputs), decoder.start(inputs)
    generator, rows, parents = torch.Generator().manual_seed(4), 1, torch.zeros(BATCH, 1, dtype=torch.long)
    for t in range(TIME):
        tokens = torch.randint(0, VOCABULARY, (BATCH, rows), generator=generator)
        step, whole = stepper.step(state, tokens), decoder.step(expected, tokens)
        living = torch.arange(BATCH * rows)
        if t:
            assert isinstance(step, ActiveStep)
            living = step.active
            assert living.tolist() == (parents >= 0).flatten().nonzero().squeeze(1).tolist()
        torch.testing.assert_close(step.logits.flatten(0, -2), whole.logits.flatten(0, 1)[living], atol=1e-5, rtol=1e-5)
        looked, others = step.weights.flatten(0, 1)[living], whole.weights.flatten(0, 1)[living]
        torch.testing.assert_close(looked, others, atol=1e-5, rtol=1e-5)
        alive = living.new_zeros(BATCH * rows).index_fill_(0, living, 1).view(BATCH, rows)
        # each row continues a row of its input that is not empty; some are empty from now on, of input 2 all but one
        parents = torch.multinomial(alive.float(), ROWS, replacement=True, generator=generator)
        parents[0, t % ROWS] = parents[2, 1:] = EMPTY
        state, expected, rows = step.state.reorder(parents), whole.state.reorder(parents), ROWS


@pytest.mark.parametrize(
    "options",
    [
        {"beam": 4, "alternatives": 4},
        {"beam": 3, "length_normalisation": 0.0, "no_repeat": 2, "min_length": 2},
        {"beam": 4, "groups": 2, "alternatives": 3},
        {"samples": 3, "temperature": 0.5},
        {"samples": 2, "top_k": 5},
    ],
    ids=str,
)
@pytest.mark.parametrize("prefixes", [None, [[4], [], [5, 6], []]], ids=["free", "begun"])
def test_a_search_says_what_it_says_with_the_decoder_itself(
    options: dict[str, Any], prefixes: list[list[int]] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "attend-additive-lstm",
        "rnnsearch-general",
        "rnnencdec",
        "luong-additive-lstm",
        "feedback-gru",
        "transformer-look=0-sinusoidal",
    ):
        decoder = built(CASES[name], size=0.9).double()
        found = []
        for reference in ("0", "1"):
            monkeypatch.setenv("REGARD_REFERENCE", reference)
            chosen = SearchOptions(max_length=9, **options)
            inputs = annotations(torch.float64)
            found.append(search(decoder, inputs, chosen, tokens=SpecialTokens(), prefixes=prefixes))
        for ours, theirs in zip(*found, strict=True):
            assert [one.tokens for one in ours] == [one.tokens for one in theirs]
            for one, other in zip(ours, theirs, strict=True):
                assert one.score == pytest.approx(other.score, abs=1e-5)
                torch.testing.assert_close(one.weights, other.weights, atol=1e-5, rtol=0)


def test_others_step_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    hard = built(AttendSettings.model_validate({**SIZES, "kind": "hard"}))
    local = built(LuongSettings(hidden=6, embedding=7, kind="local-p"))
    deep = built(LuongSettings(hidden=6, embedding=7, layers=2))
    for decoder in (hard, local, deep):
        assert for_search(decoder) is decoder
        with pytest.raises(ConfigError, match="int8"):
            for_search(decoder, precision="int8")
    soft = built(CASES["attend-additive-lstm"])
    monkeypatch.setenv("REGARD_REFERENCE", "1")
    assert for_search(soft) is soft
