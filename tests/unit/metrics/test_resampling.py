import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.errors import ConfigError, DataError
from regard.metrics import Bootstrap, bleu_by_length, compare_means, compare_systems
from regard.metrics.resampling import bleu_from_statistics, bleu_statistics

sentences = st.lists(st.sampled_from(["a", "B", "c,", "d.", '"e"']), max_size=9).map(" ".join)
FEW = Bootstrap(num_draws=100)


@given(st.lists(st.tuples(sentences, sentences), min_size=1, max_size=5))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_bleu_of_the_summed_counts_is_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    hypotheses, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    expected = sacrebleu.corpus_bleu(hypotheses, [references], force=True).score
    ours = bleu_from_statistics(bleu_statistics(hypotheses, references).sum(axis=0))
    assert float(ours) == pytest.approx(expected, abs=1e-9)


def corpus(count: int, noise: float, seed: int) -> tuple[list[str], list[str], list[int]]:
    """Sentences of 1 … 25 words, and copies of them in which words are replaced with probability ``noise``."""
    generator = np.random.default_rng(seed)
    references, hypotheses, lengths = [], [], []
    for _ in range(count):
        words = [f"w{number}" for number in generator.integers(50, size=generator.integers(1, 26))]
        references.append(" ".join(words))
        hypotheses.append(" ".join(word if generator.random() > noise else "x" for word in words))
        lengths.append(len(words))
    return hypotheses, references, lengths


def test_bins_hold_every_sentence_once_and_score_like_sacrebleu() -> None:
    hypotheses, references, lengths = corpus(60, 0.2, seed=3)
    bins = bleu_by_length(hypotheses, references, lengths, bins=(5, 12, 40, 60), bootstrap=FEW)
    assert [(each.shortest, each.longest) for each in bins] == [(0, 5), (6, 12), (13, 40), (41, 60), (61, None)]
    assert sum(each.count for each in bins) == 60
    for each in bins[:3]:
        inside = [i for i, length in enumerate(lengths) if each.shortest <= length <= (each.longest or 99)]
        chosen = [hypotheses[i] for i in inside], [[references[i] for i in inside]]
        assert each.count == len(inside)
        assert each.bleu == pytest.approx(sacrebleu.corpus_bleu(*chosen, force=True).score, abs=1e-9)
        assert each.low is not None
        assert each.high is not None
        assert each.low <= each.bleu <= each.high
    assert bins[3].count == 0
    assert bins[3].bleu is bins[3].low is bins[3].high is None


def test_intervals_follow_the_seed_and_narrow_with_data() -> None:
    hypotheses, references, lengths = corpus(40, 0.2, seed=5)
    first, again, other = (
        bleu_by_length(hypotheses, references, lengths, bins=(), bootstrap=Bootstrap(num_draws=200, seed=seed))[0]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)
    many = bleu_by_length(hypotheses * 9, references * 9, lengths * 9, bins=(), bootstrap=FEW)[0]
    assert many.bleu == pytest.approx(first.bleu, abs=1e-9)
    # nine times the data: a third of the width
    assert (many.high - many.low) / (first.high - first.low) == pytest.approx(1 / 3, rel=0.3)


def test_a_bin_does_not_depend_on_the_others() -> None:
    hypotheses, references, lengths = corpus(40, 0.2, seed=6)
    coarse = bleu_by_length(hypotheses, references, lengths, bins=(10,), bootstrap=FEW)
    fine = bleu_by_length(hypotheses, references, lengths, bins=(10, 15), bootstrap=FEW)
    assert coarse[0] == fine[0]


def test_one_sentence_has_an_interval_without_width() -> None:
    only = bleu_by_length(["a b c d e"], ["a b c d f"], [5], bins=(), bootstrap=FEW)[0]
    assert only.low == only.bleu == only.high


def test_a_clearly_better_system_is_found_and_a_twin_is_not() -> None:
    good, references, _ = corpus(80, 0.1, seed=7)
    bad, same_references, _ = corpus(80, 0.4, seed=7)
    bad = bad if references == same_references else [text.replace("w1", "x") for text in good]
    result = compare_systems(good, bad, references, bootstrap=FEW)
    assert result.first == pytest.approx(sacrebleu.corpus_bleu(good, [references]).score, abs=1e-9)
    assert result.first > result.second
    assert result.p_value < 0.05
    assert compare_systems(bad, good, references, bootstrap=FEW).p_value == result.p_value
    assert compare_systems(good, good, references, bootstrap=FEW).p_value == 1.0


def test_input_that_cannot_be_scored_is_refused() -> None:
    with pytest.raises(ConfigError, match="ascending"):
        bleu_by_length(["a"], ["a"], [1], bins=(10, 5))
    with pytest.raises(ConfigError, match="ascending"):
        bleu_by_length(["a"], ["a"], [1], bins=(5, 5))
    with pytest.raises(DataError, match="1 hypotheses, 1 references, 2 source_lengths"):
        bleu_by_length(["a"], ["a"], [1, 2])
    with pytest.raises(DataError, match="1 first, 2 second, 1 references"):
        compare_systems(["a"], ["a", "b"], ["a"])
    for wrong in ({"num_draws": 0}, {"confidence": 1.0}, {"seed": -1}):
        with pytest.raises(ConfigError):
            Bootstrap(**wrong)


def test_means_are_compared_pair_by_pair() -> None:
    scores = np.random.default_rng(3).uniform(0, 3, 60)
    better = compare_means(scores + 0.01, scores, bootstrap=FEW)
    assert better.p_value == 0.0, "the same little more everywhere is sure, however wide the scores spread"
    assert better.first == pytest.approx(scores.mean() + 0.01)
    shuffled = compare_means(scores + 0.01, np.random.default_rng(4).permutation(scores), bootstrap=FEW)
    assert 0.2 < shuffled.p_value < 0.8
    with pytest.raises(DataError, match="2 first, 1 second"):
        compare_means([1, 2], [1])
