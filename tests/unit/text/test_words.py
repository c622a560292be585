"""Normalisation keeps the way back; words are what a person would point at."""

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.errors import TextError
from regard.text.words import normalise, split_words

texts = st.text(max_size=40)
# what makes composition hard: bases, marks in any order, Hangul letters, white space
composing = st.text(alphabet="ae\u0301\u0308\u0323각가 \u00a0\t\u1e9b\u212b\u0958ে\u09be", max_size=12)


@settings(max_examples=150, deadline=None)
@given(texts | composing)
def test_normalised_is_nfc_with_single_spaces_and_stable(text: str) -> None:
    normalised = normalise(text)
    assert normalised.text == " ".join(unicodedata.normalize("NFC", text).split())
    assert normalise(normalised.text).origins is None


@settings(max_examples=150, deadline=None)
@given(texts | composing)
def test_each_span_normalises_to_its_character(text: str) -> None:
    normalised = normalise(text)
    ends = 0
    for position, character in enumerate(normalised.text):
        start, end = normalised.span(position, position + 1)
        assert 0 <= start <= end <= len(text)
        if character != " ":
            assert character in unicodedata.normalize("NFC", text[start:end])
            assert end >= ends
            ends = end


def test_code_points_that_compose_are_normalised_as_by_unicodedata_in_three_contexts() -> None:
    for character in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.combining(character) or unicodedata.normalize("NFD", character) != character:
            for text in (f"a{character}\u0301", f"\u1100{character}\u11a8\u0f71", f"\u0dd9\u0316{character}\u0dcf"):
                expected = " ".join(unicodedata.normalize("NFC", text).split())
                assert normalise(text).text == expected, f"U+{ord(character):04X}"


def test_more_marks_than_any_writing_has_are_normalised_as_by_unicodedata() -> None:
    for marks in ("\u0f73", "\u0301\u0316", "\u0f81\u0345\u0327", "\u1100\u1161\u11a8\u0301", "\u0344\u09be"):
        text = f"a{marks * 50}b{marks[::-1] * 40}"
        assert normalise(text).text == unicodedata.normalize("NFC", text)


def test_span_of_a_composed_character_covers_its_marks() -> None:
    text = "  e\u0301te\u0301\t\u00a0x"
    normalised = normalise(text)
    assert normalised.text == "été x"
    assert [normalised.span(i, i + 1) for i in (0, 1, 2, 4)] == [(2, 4), (4, 5), (5, 7), (9, 10)]
    assert normalised.span(0, 5) == (2, 10)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(TextError, match="surrogate pair at character 3"):
        normalise("ab\ud800")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A dog, runs.", ["A", "dog", ",", "runs", "."]),
        ("don’t T-Shirt 10,000 3.5 10:30", ["don’t", "T-Shirt", "10,000", "3.5", "10:30"]),
        ("l'homme -- 'quoted'", ["l'homme", "-", "-", "'", "quoted", "'"]),
        ("a.b 5. ...", ["a", ".", "b", "5", ".", ".", ".", "."]),
        ("犬が走る A日本", ["犬", "が", "走", "る", "A", "日", "本"]),
        ("नमस्ते שלום مرحبا", ["नमस्ते", "שלום", "مرحبا"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("👨‍👩‍👧👍🏽!", ["👨‍👩‍👧", "👍🏽", "!"]),
        ("🇩🇪🇫🇷🇩\u200d!", ["🇩🇪", "🇫🇷", "🇩\u200d", "!"]),
        ("", []),
        (" \t\u00a0\u2028\x1c ", []),
    ],
)
def test_split_words(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in split_words(text)] == words


@settings(max_examples=100, deadline=None)
@given(texts)
def test_words_cover_everything_but_white_space(text: str) -> None:
    covered = "".join(text[start:end] for start, end in split_words(text))
    assert "".join(covered.split()) == "".join(text.split())
