"""Pieces are gathered into words, and weights over pieces become weights over words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.text.tokenizer import WordPieces, group_pieces, merge_weights


def words(*pieces: tuple[int, ...]) -> list[WordPieces]:
    return [WordPieces("x", each, (0, 0)) for each in pieces]


def test_pieces_of_one_word_are_gathered() -> None:
    text = "Hello, world"
    spans = [(0, 3), (3, 5), (5, 6), (7, 10), (10, 12), (12, 12)]
    grouped = group_pieces(text, spans)
    assert [(word.text, word.pieces, word.span) for word in grouped] == [
        ("Hello", (0, 1), (0, 5)),
        (",", (2,), (5, 6)),
        ("world", (3, 4), (7, 12)),
    ]


def test_piece_over_several_words_joins_them() -> None:
    grouped = group_pieces("in the end, now", [(0, 6), (7, 9), (9, 12), (12, 15)])
    assert [(word.text, word.pieces) for word in grouped] == [("in the", (0,)), ("end,", (1, 2)), ("now", (3,))]


def test_empty_pieces_belong_to_the_next_word_and_specials_to_none() -> None:
    grouped = group_pieces("a dog", [None, (0, 1), (2, 2), (1, 2), (2, 5), (5, 5), None])
    assert [(word.text, word.pieces) for word in grouped] == [("a", (1,)), ("dog", (2, 3, 4))]
    assert group_pieces("", [(0, 0)]) == []
    assert group_pieces("one two three", [(4, 7)])[0].text == "two"


def test_merging_sums_sources_and_averages_targets() -> None:
    weights = [[0.1, 0.2, 0.3, 0.4], [0.3, 0.2, 0.1, 0.4], [0.0, 0.0, 1.0, 0.0]]
    merged = merge_weights(weights, words((0, 1), (2,)), words((0, 2), (1, 3)))
    np.testing.assert_allclose(merged, [[0.4, 0.6], [1.0, 0.0]])


def test_weight_outside_words_is_shared_out() -> None:
    merged = merge_weights([[0.1, 0.3, 0.6], [0.0, 0.0, 1.0]], words((0,), (1,)), words((0,), (1,)))
    np.testing.assert_allclose(merged, [[0.25, 0.75], [0.5, 0.5]])


def test_without_source_words_the_positions_stay() -> None:
    merged = merge_weights([[0.25, 0.75], [0.75, 0.25]], words((0, 1)))
    np.testing.assert_allclose(merged, [[0.5, 0.5]])


@pytest.mark.parametrize(("targets", "sources"), [(0, 2), (2, 0), (0, 0)])
def test_no_words_on_a_side(targets: int, sources: int) -> None:
    weights = np.full((2, 3), 1 / 3)
    merged = merge_weights(weights, words((0,), (1,))[:targets], words((0,), (1,))[:sources])
    assert merged.shape == (targets, sources)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_rows_sum_to_one(data: st.DataObject) -> None:
    target_pieces, source_pieces = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 7))
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    weights = random.dirichlet(np.ones(source_pieces), size=target_pieces)
    kept = data.draw(st.integers(1, source_pieces))
    sources = words(*[(i,) for i in range(kept - 1)], tuple(range(kept - 1, kept)))
    merged = merge_weights(weights, words(tuple(range(target_pieces))), sources)
    np.testing.assert_allclose(merged.sum(axis=1), 1)
    assert (merged >= 0).all()
