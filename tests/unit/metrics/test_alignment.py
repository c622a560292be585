import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.errors import ConfigError, DataError
from regard.metrics import WordAlignment, alignment_error_rate, format_pharaoh, parse_pharaoh
from regard.metrics.alignment import attention_links, token_spans

links = st.frozensets(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8)


def test_parse_sure_and_possible_links() -> None:
    first, empty, last = parse_pharaoh(["0-0 1-2 2?1 3p4\n", "\n", "10-11 10-11"], origin="gold")
    assert first == WordAlignment(frozenset({(0, 0), (1, 2)}), frozenset({(0, 0), (1, 2), (2, 1), (3, 4)}))
    assert empty == WordAlignment(frozenset(), frozenset())
    assert last.sure == {(10, 11)}


@pytest.mark.parametrize(
    "text", ["1", "1-", "-1-2", "1--2", "1-2-3", "a-b", "1.0-2", "1–2", "٣-٤", "1-2,3-4", "9" * 30 + "-1"]
)
def test_what_is_no_link_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(DataError, match=r"gold\.txt, line 2: .* is not a link"):
        parse_pharaoh(["0-0", f"0-1 {text}"], origin="gold.txt")


@given(links, links)
def test_written_alignments_read_back(sure: frozenset[tuple[int, int]], possible: frozenset[tuple[int, int]]) -> None:
    line = format_pharaoh(sure, possible)
    assert parse_pharaoh([line], origin="here") == [WordAlignment(sure, sure | possible)]


def test_format_sorts_and_marks() -> None:
    assert format_pharaoh([(2, 0), (0, 10), (0, 9)], [(1, 1), (2, 0)]) == "0-9 0-10 1?1 2-0"
    assert format_pharaoh([]) == ""


def test_error_rate_by_hand() -> None:
    predicted = [{(0, 0), (1, 1), (2, 2)}, {(5, 5)}]
    sure = [{(0, 0), (1, 2)}, set()]
    possible = [{(1, 1)}, {(5, 6)}]
    # sure hits 1, possible hits 2 (one of them through the sure link), 4 predicted, 2 sure
    assert alignment_error_rate(predicted, sure, possible) == pytest.approx(1 - 3 / 6)


@given(st.lists(st.tuples(links, links), min_size=1, max_size=4))
def test_error_rate_is_zero_between_the_sure_and_the_possible_links(
    gold: list[tuple[frozenset[tuple[int, int]], frozenset[tuple[int, int]]]],
) -> None:
    sure, possible = [s for s, _ in gold], [p for _, p in gold]
    everything = [s | p for s, p in gold]
    assert alignment_error_rate(sure, sure, possible) == pytest.approx(0, abs=1e-12)
    assert alignment_error_rate(everything, sure, possible) == pytest.approx(0, abs=1e-12)
    assert 0 <= alignment_error_rate(possible, sure, [frozenset()] * len(gold)) <= 1


def test_nothing_predicted_against_nothing_sure_is_no_error() -> None:
    assert alignment_error_rate([set()], [set()], [{(0, 0)}]) == 0.0
    assert alignment_error_rate([set()], [{(0, 0)}], [set()]) == 1.0


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="1 predicted, 2 sure, 1 possible"):
        alignment_error_rate([set()], [set(), set()], [set()])


def test_words_are_what_stands_between_spaces_or_13a_tokens() -> None:
    text = "A dog's bone, on the beach."
    assert [text[start:end] for start, end in token_spans(text, "spaces")] == text.split()
    assert [text[start:end] for start, end in token_spans(text, "13a")][-2:] == ["beach", "."]
    with pytest.raises(ConfigError, match="tokens"):
        token_spans(text, "words")


def test_links_follow_the_words_that_are_counted() -> None:
    source, target = "A dog runs.", "Ein Hund rennt."
    spans = [(0, 1), (2, 5), (6, 10), (10, 11)]
    placed = [(0, 3), (4, 8), (9, 14), (14, 15)]
    alignment = np.eye(4)
    assert attention_links(alignment, (source, spans), (target, placed)) == {(0, 0), (1, 1), (2, 2)}
    links = attention_links(alignment, (source, spans), (target, placed), tokens="13a")
    assert links == {(0, 0), (1, 1), (2, 2), (3, 3)}
    assert attention_links(np.zeros((0, 4)), (source, spans), ("", [])) == frozenset()
