import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.errors import DataError
from regard.metrics.bleu import BleuReferences, corpus_bleu, ngram_counts, sentence_bleu

sentences = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=9)
groups = st.lists(sentences, min_size=1, max_size=4)


def test_ngram_counts_counts_every_order() -> None:
    counts = ngram_counts(["a", "b", "a", "b"], max_order=2)
    assert counts == {("a",): 2, ("b",): 2, ("a", "b"): 2, ("b", "a"): 1}


def test_corpus_bleu_by_hand() -> None:
    # 3 of 4 words, 1 of 3 bigrams, no trigram; 4 words against 6: exp(1 - 6/4)
    scores = corpus_bleu([["a", "b", "x", "c"]], [[["a", "b", "y", "c", "d", "e"]]])
    penalty = math.exp(1 - 6 / 4)
    assert scores[0] == pytest.approx(penalty * 3 / 4, abs=1e-6)
    assert scores[1] == pytest.approx(penalty * math.sqrt(3 / 4 * 1 / 3), abs=1e-6)
    assert scores[2] < 1e-4
    assert scores[3] < 1e-3


def test_closest_length_prefers_the_shorter_on_a_tie() -> None:
    references = BleuReferences([["a"] * 7, ["a"] * 3, ["a"] * 12])
    assert references.closest_length(5) == 3
    assert references.closest_length(6) == 7
    assert references.closest_length(100) == 12


def test_matches_are_clipped_by_the_most_generous_reference() -> None:
    references = BleuReferences([["the", "cat"], ["the", "the", "dog"]])
    assert references.matches(["the", "the", "the", "the"]) == [2, 1, 0, 0]


@given(sentences, groups)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_scores_lie_between_zero_and_one_and_ignore_reference_order(
    hypothesis: list[str], references: list[list[str]]
) -> None:
    scores = corpus_bleu([hypothesis], [references])
    assert all(0 <= score <= 1 + 1e-6 for score in scores)
    assert scores == corpus_bleu([hypothesis], [references[::-1]])
    assert 0 <= sentence_bleu(hypothesis, references) <= 1


@given(st.lists(st.tuples(sentences, groups), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_ids_score_as_their_words(corpus: list[tuple[list[str], list[list[str]]]]) -> None:
    ids = {"a": 17, "b": 0, "c": -3, "d": 2**40}
    as_ids = [
        ([ids[word] for word in hypothesis], [[ids[w] for w in r] for r in group]) for hypothesis, group in corpus
    ]
    words = corpus_bleu([item[0] for item in corpus], [item[1] for item in corpus])
    numbers = corpus_bleu([item[0] for item in as_ids], [item[1] for item in as_ids])
    assert words == numbers


def test_sentence_bleu_by_hand() -> None:
    # 3/4 words, (1+1)/(3+1) bigrams, (0+1)/(2+1) trigrams, (0+1)/(1+1) 4-grams, 4 words against 6
    expected = (3 / 4 * 2 / 4 * 1 / 3 * 1 / 2) ** 0.25 * math.exp(1 - 6 / 4)
    assert sentence_bleu(["a", "b", "x", "c"], [["a", "b", "y", "c", "d", "e"]]) == pytest.approx(expected, abs=1e-12)


def test_sentence_bleu_of_a_perfect_a_foreign_and_an_empty_sentence() -> None:
    references = [["a", "dog", "runs", "in", "the", "park"], ["a", "dog"]]
    assert sentence_bleu(references[0], references) == pytest.approx(1.0, abs=1e-12)
    assert sentence_bleu(["a"], [["a"]]) == pytest.approx(1.0, abs=1e-12)
    assert sentence_bleu(["x", "y"], references) == 0.0
    assert sentence_bleu([], references) == 0.0


def test_input_that_cannot_be_scored_is_refused() -> None:
    with pytest.raises(DataError, match="2 hypotheses, 1 references"):
        corpus_bleu([["a"], ["b"]], [[["a"]]])
    with pytest.raises(DataError, match="the corpus is empty"):
        corpus_bleu([], [])
    with pytest.raises(DataError, match="item 1 has no reference"):
        corpus_bleu([["a"], ["b"]], [[["a"]], []])
    with pytest.raises(DataError, match="are one string"):
        sentence_bleu(["a"], "a dog")
