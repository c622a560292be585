"""Batched measurements equal a written-out loop, and tell a decoder that looks from one that does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.attention import Memory
from regard.decoders import Decoder, DecoderSettings, State, Step, Trace, build_decoder
from regard.decoders.attend import AttendSettings
from regard.decoders.luong import LuongSettings
from regard.decoders.rnnsearch import RnnSearchSettings
from regard.decoders.transformer import TransformerDecoderSettings
from regard.evidence.erasure import Written
from regard.evidence.measurement import counts, measure_words
from regard.faithfulness import (
    FRACTIONS,
    GRADIENT,
    OCCLUSION,
    RANDOM,
    UNIFORM,
    WEIGHTS,
    Faithfulness,
    rank_correlation,
)
from regard.fast import for_search

DIM, VOCABULARY, POSITIONS = 6, 11, 20
IDS, WORDS = (5, 4, 8, 6), ((0,), (1, 2), (3,))

CASES: dict[str, DecoderSettings] = {
    "attend": AttendSettings(embedding=6, hidden=7, attention=5),
    "luong": LuongSettings(hidden=6, embedding=7),
    "rnnsearch": RnnSearchSettings(hidden=6, embedding=7, attention=8, readout=4),
    "transformer": TransformerDecoderSettings(dim=6, layers=1, heads=2, feed_forward=10),
}


def built(case: str) -> Decoder:
    torch.manual_seed(3)
    decoder = build_decoder(CASES[case], dim=DIM, vocabulary_size=VOCABULARY).eval()
    for parameter in decoder.parameters():
        torch.nn.init.uniform_(parameter, -0.9, 0.9)
    return decoder.requires_grad_(False)


def inputs(*, padded: int = 0, summary: bool = False) -> Annotations:
    generator = torch.Generator().manual_seed(7)
    values = torch.randn(1, POSITIONS + padded, DIM, generator=generator)
    mask = torch.arange(POSITIONS + padded).unsqueeze(0) < POSITIONS if padded else None
    return Annotations(values, mask, torch.randn(1, DIM, generator=generator) if summary else None)


def written(size: int = POSITIONS) -> Written:
    weights = np.random.default_rng(5).dirichlet(np.ones(POSITIONS), size=len(IDS))
    return Written(IDS, WORDS, np.pad(weights, ((0, 0), (0, size - POSITIONS))))


def plain(decoder: Decoder, values: Tensor, summary: Tensor | None, word: Sequence[int]) -> float:
    """log p of a word, one step after another, alone."""
    state, previous, found = decoder.start(Annotations(values, None, summary)), 1, 0.0
    for place, token in enumerate(IDS):
        step = decoder.step(state, torch.tensor([[previous]]))
        if place in word:
            found += float(step.logits[0, 0].double().log_softmax(dim=-1)[token])
        state, previous = step.state, token
    return found


@pytest.mark.parametrize(("padded", "summary"), [(0, False), (3, False), (0, True)])
@pytest.mark.parametrize("case", CASES)
def test_measurements_equal_a_written_out_loop(case: str, padded: int, summary: bool) -> None:
    decoder, given = built(case), inputs(padded=padded, summary=summary)
    text = written(POSITIONS + padded)
    found = measure_words(for_search(decoder), given, text, decoder=decoder)
    real = given.values[:, :POSITIONS]
    mean = real.mean(dim=1)

    def without(erased: Sequence[int], word: Sequence[int]) -> float:
        values = real.clone()
        values[0, list(erased)] = mean
        share = 1 - len(erased) / POSITIONS
        return plain(decoder, values, None if given.summary is None else share * given.summary, word)

    for measured, pieces in zip(found, WORDS, strict=True):
        weights = text.weights[list(pieces), :POSITIONS].mean(axis=0)
        order = sorted(range(POSITIONS), key=lambda i: -weights[i])
        assert measured.log_probability == pytest.approx(without([], pieces), abs=1e-4)
        assert measured.log_probability_without == pytest.approx(without(order, pieces), abs=1e-4)
        for share, number in enumerate((1, 1, 2, 4, 10)):
            lost = without([], pieces) - without(order[:number], pieces)
            assert measured.comprehensiveness()[share] == pytest.approx(lost, abs=1e-4)
            alone = without([], pieces) - without(order[number:], pieces)
            assert measured.sufficiency()[share] == pytest.approx(alone, abs=1e-4)
        importance = [without([], pieces) - without([i], pieces) for i in range(POSITIONS)]
        assert measured.importance == pytest.approx(importance, abs=1e-4)
        best = sorted(range(POSITIONS), key=lambda i: -importance[i])
        lost = without([], pieces) - without(best[:4], pieces)
        assert measured.comprehensiveness(OCCLUSION)[3] == pytest.approx(lost, abs=1e-3)
        heights = [np.exp(without(order[:number], pieces)) for number in (0, 1, 1, 2, 4, 10, 20)]
        edges = [0, *FRACTIONS, 1]
        area = sum((edges[i + 1] - edges[i]) * (heights[i] + heights[i + 1]) / 2 for i in range(6))
        assert measured.deletion_area() == pytest.approx(area, abs=1e-4)
        assert set(measured.curves) == {WEIGHTS, OCCLUSION, GRADIENT, RANDOM, UNIFORM}
        assert all(each >= 0 for each in measured.curves[RANDOM].spread)


class Rigged(Decoder):
    """Says word 4 for the first number of the annotation that it reads, and returns a look of its own choice."""

    def __init__(self, *, reads: int | None, looks: int) -> None:
        super().__init__()
        self.vocabulary_size, self.reads, self.looks = VOCABULARY, reads, looks

    def start(self, annotations: Annotations, *, rows: int = 1) -> State:
        values = annotations.values
        seen = values[:, :1, 0] * 0 + 1 if self.reads is None else values[:, self.reads, :1]
        return State(Memory(values, values), {"seen": seen.unsqueeze(1).expand(-1, rows, -1)})

    def step(self, state: State, tokens: Tensor) -> Step:
        seen = state.rows["seen"]
        logits = torch.zeros(*tokens.shape, VOCABULARY)
        logits = torch.cat([logits[..., :4], 8 * seen, logits[..., 5:]], dim=-1)
        weights = torch.zeros(*tokens.shape, state.memory.values.shape[1])
        weights[..., self.looks] = 1.0
        return Step(logits, State(state.memory, state.rows, state.length + 1), weights)

    def trace(self, annotations: Annotations, tokens: Tensor, lengths: Tensor | None = None) -> Trace:
        step = self.step(self.start(annotations, rows=tokens.shape[1]), tokens[..., 0])
        time = tokens.shape[2]
        shape = (-1, -1, time, -1)
        return Trace(step.logits.unsqueeze(2).expand(shape), step.weights.unsqueeze(2).expand(shape))

    def logits(self, readouts: Tensor) -> Tensor:
        return readouts


def coloured(square: int) -> Annotations:
    """A picture with one coloured square."""
    values = torch.zeros(1, POSITIONS, DIM)
    values[0, square, 0] = 1.0
    return Annotations(values)


def measured(decoder: Rigged, square: int) -> Faithfulness:
    annotations = coloured(square)
    step = decoder.step(decoder.start(annotations), torch.tensor([[1]]))
    text = Written((4,), ((0,),), step.weights[0].double().numpy())
    (found,) = measure_words(decoder, annotations, text, decoder=decoder if decoder.reads is not None else None)
    return found


def test_a_decoder_that_must_look_at_the_square_passes() -> None:
    found = measured(Rigged(reads=13, looks=13), 13)
    assert min(found.comprehensiveness()) > 1.9
    assert max(found.sufficiency()) < 0.1
    assert found.comprehensiveness()[3] > 2 * found.comprehensiveness(RANDOM)[3]
    assert found.deletion_area() < found.deletion_area(RANDOM) < found.insertion_area()
    assert np.argmax(found.importance) == 13
    assert found.rank_correlation > 0.9
    assert found.comprehensiveness(GRADIENT) == pytest.approx(found.comprehensiveness())


def test_a_decoder_that_claims_to_look_elsewhere_fails() -> None:
    found = measured(Rigged(reads=13, looks=2), 13)
    assert found.comprehensiveness()[0] == pytest.approx(0)
    assert found.sufficiency()[0] > 1.9
    assert found.comprehensiveness(OCCLUSION)[0] > 1.9
    assert found.rank_correlation < 0.1


def test_a_decoder_that_ignores_its_input_has_no_evidence() -> None:
    found = measured(Rigged(reads=None, looks=13), 13)
    for order in (WEIGHTS, RANDOM, UNIFORM, OCCLUSION):
        assert found.comprehensiveness(order) == pytest.approx([0] * len(FRACTIONS), abs=1e-9)
    assert found.rank_correlation == 0


def test_results_are_plain_data_and_depend_on_the_seed_alone() -> None:
    decoder, given = built("attend"), inputs()
    stepper = for_search(decoder)
    first, again = (measure_words(stepper, given, written(), seed=1) for _ in range(2))
    assert [each.to_dict() for each in first] == [each.to_dict() for each in again]
    other = measure_words(stepper, given, written(), seed=2)
    assert first[0].curves[RANDOM] != other[0].curves[RANDOM]
    assert first[0].curves[WEIGHTS] == other[0].curves[WEIGHTS]
    assert GRADIENT not in first[0].curves
    data = first[0].to_dict()
    assert data["orders"][WEIGHTS]["comprehensiveness"] == pytest.approx(first[0].comprehensiveness(), abs=1e-6)
    assert measure_words(stepper, given, Written((), (), np.zeros((0, POSITIONS)))) == []


@pytest.mark.parametrize(("positions", "expected"), [(1, (1,) * 5), (2, (1,) * 5), (49, (1, 2, 5, 10, 24))])
def test_a_share_is_at_least_one_position_and_never_all_of_several(positions: int, expected: tuple[int, ...]) -> None:
    assert counts(positions) == expected


def test_rank_correlation_equals_known_values() -> None:
    assert rank_correlation(np.array([1.0, 2, 3, 4]), np.array([10.0, 20, 30, 40])) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 2, 3, 4]), np.array([4.0, 3, 2, 1])) == pytest.approx(-1)
    # by hand: ranks 0, 1.5, 1.5, 3 against 0, 2, 1, 3
    assert rank_correlation(np.array([1.0, 2, 2, 4]), np.array([1.0, 3, 2, 5])) == pytest.approx(0.948683, abs=1e-6)
    assert rank_correlation(np.ones(4), np.arange(4.0)) == 0
