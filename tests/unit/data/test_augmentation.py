"""Pairs of an epoch: drawn anew each time, the same whenever the same epoch is asked for, and still translations."""

import numpy as np
import pytest

from regard.data.augmentation import AugmentedPairs, uniform
from regard.data.encoding import LengthSettings, encode_pairs
from regard.data.parallel import ReadReport, SentencePairs
from regard.text import SubwordTokenizer
from regard.text.noise import NoiseSettings
from regard.text.vocabulary import EOS

SOURCES = tuple(
    f"Two {thing} stand {place}." for thing in ("dogs", "men", "cars") for place in ("here", "there", "outside")
)
TARGETS = tuple(
    f"Zwei {thing} stehen {place}." for thing in ("Hunde", "Männer", "Autos") for place in ("hier", "dort", "draußen")
)
PAIRS = SentencePairs(SOURCES, TARGETS, ReadReport("here", read=len(SOURCES)))
TOKENIZER = SubwordTokenizer.train([*SOURCES, *TARGETS], size=300)


def augmented(*, dropout: float = 0.0, seed: int = 1, longest: int | None = None, **shares: float) -> AugmentedPairs:
    plain = encode_pairs(PAIRS, source=TOKENIZER, target=TOKENIZER, limits=LengthSettings(longest=longest))
    noise = NoiseSettings(**shares)
    return AugmentedPairs(
        PAIRS, plain, source=TOKENIZER, target=TOKENIZER, noise=noise, dropout=dropout, longest=longest, seed=seed
    )


def test_nothing_asked_for_nothing_changed() -> None:
    plain = encode_pairs(PAIRS, source=TOKENIZER, target=TOKENIZER)
    drawn = augmented().epoch(0, 3)
    assert (drawn.sources, drawn.targets) == (plain.sources, plain.targets)


def test_other_cuts_spell_the_same_sentences() -> None:
    pairs = augmented(dropout=0.3)
    first, second = pairs.epoch(0, 0), pairs.epoch(0, 1)
    assert first.sources != second.sources
    assert first.targets != second.targets
    for drawn in (first, second):
        assert tuple(TOKENIZER.decode(ids) for ids in drawn.sources) == SOURCES
        assert tuple(TOKENIZER.decode(ids) for ids in drawn.targets) == TARGETS
        assert all(ids[-1] == EOS for ids in drawn.sources)


def test_an_epoch_is_a_function_of_its_number() -> None:
    one, other = (augmented(dropout=0.3, capitals=0.3, joined=0.3) for _ in range(2))
    other.epoch(0, 0)
    assert one.epoch(1, 5) == other.epoch(1, 5)
    assert augmented(dropout=0.3, seed=2).epoch(1, 5) != augmented(dropout=0.3).epoch(1, 5)


def test_noise_changes_sources_alone() -> None:
    drawn = augmented(capitals=1.0, digits=1.0).epoch(0, 0)
    assert [TOKENIZER.decode(ids) for ids in drawn.sources] == [text.replace("Two", "2").upper() for text in SOURCES]
    assert tuple(TOKENIZER.decode(ids) for ids in drawn.targets) == TARGETS


def test_about_the_share_is_changed() -> None:
    pairs = augmented(lower=0.3)
    changed = [sum(TOKENIZER.decode(ids).islower() for ids in pairs.epoch(0, epoch).sources) for epoch in range(200)]
    assert np.mean(changed) / len(SOURCES) == pytest.approx(0.3, abs=0.03)
    assert len(set(changed)) > 1


def test_joined_pairs_are_joined_on_both_sides() -> None:
    drawn = augmented(joined=1.0).epoch(0, 0)
    translations = dict(PAIRS)
    for place, (source, target) in enumerate(zip(drawn.sources, drawn.targets, strict=True)):
        assert source.count(EOS) == 1
        text, second = TOKENIZER.decode(source), TOKENIZER.decode(source).removeprefix(SOURCES[place] + " ")
        assert text != second
        assert TOKENIZER.decode(target) == f"{TARGETS[place]} {translations[second]}"


def test_pairs_too_long_together_stay_apart() -> None:
    lengths = encode_pairs(PAIRS, source=TOKENIZER, target=TOKENIZER).lengths
    drawn = augmented(joined=1.0, longest=int(lengths.max())).epoch(0, 0)
    assert np.array_equal(drawn.lengths, lengths)


def test_pairs_left_out_stay_out() -> None:
    lengths = encode_pairs(PAIRS, source=TOKENIZER, target=TOKENIZER).lengths.max(axis=1)
    longest = int(lengths.max()) - 2
    pairs = augmented(capitals=1.0, longest=longest)
    plain = encode_pairs(PAIRS, source=TOKENIZER, target=TOKENIZER, limits=LengthSettings(longest=longest))
    assert 0 < len(plain) < len(PAIRS)
    assert [TOKENIZER.decode(ids) for ids in pairs.epoch(0, 0).sources] == [SOURCES[i].upper() for i in plain.kept]


def test_draws_are_uniform_and_depend_on_nothing_but_key_and_counter() -> None:
    counters = np.arange(100_000)
    drawn = uniform(7, counters)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert drawn.mean() == pytest.approx(0.5, abs=0.005)
    assert np.corrcoef(drawn[:-1], drawn[1:])[0, 1] == pytest.approx(0, abs=0.01)
    assert np.array_equal(uniform(7, counters[::-1]), drawn[::-1])
    assert abs(np.corrcoef(drawn, uniform(8, counters))[0, 1]) < 0.01
