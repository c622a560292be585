import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.errors import DataError
from regard.metrics.rouge import common_subsequence_length, corpus_rouge_l, rouge_l

sentences = st.lists(st.sampled_from(["a", "b", "c"]), max_size=7)


def is_subsequence(short: tuple[str, ...], long: list[str]) -> bool:
    remaining = iter(long)
    return all(word in remaining for word in short)


@given(sentences, sentences)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_longest_common_subsequence_equals_brute_force(first: list[str], second: list[str]) -> None:
    longest = max(
        length
        for length in range(len(first) + 1)
        if any(is_subsequence(chosen, second) for chosen in itertools.combinations(first, length))
    )
    assert common_subsequence_length(first, second) == longest
    assert common_subsequence_length(second, first) == longest


def test_long_sequences_need_no_table() -> None:
    assert common_subsequence_length(list(range(3000)), list(range(0, 3000, 3))) == 1000


def test_precision_and_recall_are_the_best_over_references_one_by_one() -> None:
    # common subsequences of 2 and 1: precision 2/4 from the first, recall 1/1 from the second
    score = rouge_l(["a", "x", "b", "y"], [["a", "b", "c", "d", "e"], ["y"]])
    precision, recall = 2 / 4, 1.0
    assert score == pytest.approx((1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision), abs=1e-12)


def test_empty_sequences_count_as_one_empty_word() -> None:
    assert rouge_l([], [["a"]]) == 0.0
    assert rouge_l([], [["a"], []]) == 1.0
    assert rouge_l(["a"], [[]]) == 0.0


def test_input_that_cannot_be_scored_is_refused() -> None:
    with pytest.raises(DataError, match="no reference"):
        rouge_l(["a"], [])
    with pytest.raises(DataError, match="1 hypotheses, 0 references"):
        corpus_rouge_l([["a"]], [])
