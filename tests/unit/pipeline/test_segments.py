"""A long text is cut where a reader would pause, and nothing of it is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.errors import TextError
from regard.pipeline.segments import segment_source
from regard.text import CharacterTokenizer, SubwordTokenizer, Tokenizer, WordTokenizer
from regard.text.vocabulary import EOS

SENTENCES = "A dog runs on the beach. Two cats sit near a car, and a man looks at them! Why? Nobody knows"
TOKENIZER = SubwordTokenizer.train([SENTENCES], size=330)


def texts_of_segments(text: str, tokenizer: Tokenizer, longest: int) -> list[str]:
    """What each part covers, as text."""
    source = segment_source(text, tokenizer, longest=longest)
    return [text[part.words[0].span[0] : part.words[-1].span[1]] for part in source.segments]


def test_a_short_text_is_one_part() -> None:
    source = segment_source("A dog runs.", TOKENIZER, longest=50)
    (part,) = source.segments
    assert part.ids == TOKENIZER.encode("A dog runs.", eos=True).ids
    assert (part.words, part.first_word) == (source.words, 0)
    assert [word.text for word in source.words] == ["A", "dog", "runs", "."]


def test_an_empty_text_has_no_part() -> None:
    for text in ("", "  \n\t "):
        source = segment_source(text, TOKENIZER, longest=5)
        assert (source.text, source.words, source.segments) == (text, (), ())


def test_every_sentence_is_a_part() -> None:
    assert texts_of_segments(SENTENCES, TOKENIZER, 500) == [
        "A dog runs on the beach.",
        "Two cats sit near a car, and a man looks at them!",
        "Why?",
        "Nobody knows",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Mr. Smith and Dr. J. Doe sit near a car.",
        "A man from the U.S. Army runs.",
        "Am 3. Mai läuft ein Hund.",
        "Dogs, cats, etc. and a man.",
        "It costs 3.50 Dollars.",
        "Wait ... he runs.",
        "... A dog runs.",
        "A dog runs. )",
        "A dog runs! ? ! …",
        "www.example.com Page",
        "www.Example.Com Page",
        "See regard.py.",
        "A man of the U.S.Army runs.",
        "Dr.Smith and J.Doe run.",
        "Bilder usw.Hunde",
        "Version 2.B runs.",
        "No.",
        "?!",
    ],
)
def test_what_is_one_sentence_stays_one(text: str) -> None:
    assert len(segment_source(text, TOKENIZER, longest=500).segments) == 1


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("“A dog runs.” Two cats sit.", ["“A dog runs.”", "Two cats sit."]),
        ("He runs (fast.) Why? “Who knows?” I do.", ["He runs (fast.)", "Why?", "“Who knows?”", "I do."]),
        ("狗在海滩上奔跑。两只猫", ["狗在海滩上奔跑。", "两只猫"]),
        ("A dog runs.\n\n2 cats sit.", ["A dog runs.", "2 cats sit."]),
        ("Ein Hund läuft. Äpfel fallen.", ["Ein Hund läuft.", "Äpfel fallen."]),
        ("A dog runs.A cat sits.", ["A dog runs.", "A cat sits."]),
        ("A DOG RUNS.A CAT SITS!Why?I know.", ["A DOG RUNS.", "A CAT SITS!", "Why?", "I know."]),
        ("Ein Hund läuft.Äpfel fallen…Warum?", ["Ein Hund läuft.", "Äpfel fallen…", "Warum?"]),
        ("“A dog runs.”Two cats sit.", ["“A dog runs.”", "Two cats sit."]),
        ("개가 달린다.고양이가 앉아 있다.", ["개가 달린다.", "고양이가 앉아 있다."]),
    ],
)
def test_sentences_end_where_a_reader_sees_them_end(text: str, segments: list[str]) -> None:
    assert texts_of_segments(text, TOKENIZER, 500) == segments


def test_a_long_sentence_is_cut_behind_a_clause_else_between_words_else_anywhere() -> None:
    tokenizer = WordTokenizer.train([SENTENCES], rule="plain")
    assert texts_of_segments("Two cats sit near a car, and a man looks", tokenizer, 9) == [
        "Two cats sit near a car,",
        "and a man looks",
    ]
    assert texts_of_segments("Two, cats sit near a car", tokenizer, 6) == ["Two, cats sit near a", "car"]
    assert texts_of_segments("a b c d e f", tokenizer, 4) == ["a b c d", "e f"]
    assert texts_of_segments("abcdefgh", CharacterTokenizer.train(["abcdefgh"]), 3) == ["abcdefgh"] * 3


def test_a_word_that_is_cut_belongs_to_both_parts() -> None:
    tokenizer = CharacterTokenizer.train(["ab abcdef"])
    source = segment_source("ab abcdef", tokenizer, longest=5)
    assert [word.text for word in source.words] == ["ab", "abcdef"]
    assert [part.first_word for part in source.segments] == [0, 1, 1]
    assert [part.words[0].pieces for part in source.segments] == [(0, 1), (0, 1, 2, 3, 4), (0, 1)]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.integers(1, 12))
def test_no_piece_is_lost_and_no_part_is_too_long(text: str, longest: int) -> None:
    source = segment_source(text, TOKENIZER, longest=longest)
    pieces = [token for part in source.segments for token in part.ids[:-1]]
    assert tuple(pieces) == TOKENIZER.encode(text).ids
    for part in source.segments:
        assert part.ids[-1] == EOS
        assert 1 <= len(part.ids) - 1 <= longest
        same = source.words[part.first_word : part.first_word + len(part.words)]
        assert [word.span for word in part.words] == [word.span for word in same]
        assert all(0 <= piece < len(part.ids) - 1 for word in part.words for piece in word.pieces)
    assert sum(len(word.pieces) for part in source.segments for word in part.words) == sum(
        len(word.pieces) for word in source.words
    )


@pytest.mark.parametrize("text", ["a " * 10_000, "x" * 200_000, "😀" * 3_000])
def test_far_too_long_texts_are_one_line(text: str) -> None:
    with pytest.raises(TextError, match=r"the text has [\d,]+ (pieces|characters); allowed: up to .*line by line"):
        segment_source(text, TOKENIZER, longest=20)
