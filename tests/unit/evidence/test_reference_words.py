"""Forms of a word are one word, and other words are not."""

from __future__ import annotations

import pytest

from regard.evidence.reference_words import ReferenceWords, is_content_word, same_word


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dog", "dogs"),
        ("riding", "rides"),
        ("running", "ran"),
        ("sitting", "sits"),
        ("beaches", "beach"),
        ("men", "man"),
        ("puppy", "puppies"),
        ("jumped", "jumping"),
        ("grass", "grass"),
        ("bike", "bicycles"),
        ("couch", "sofas"),
        ("leaping", "jumps"),
        ("pulling", "pulled"),
    ],
)
def test_forms_and_synonyms_are_one_word(one: str, other: str) -> None:
    assert same_word(one, other)
    assert one in ReferenceWords([f"the {other} there"])


@pytest.mark.parametrize(
    ("one", "other"), [("dog", "cat"), ("bus", "bu"), ("string", "str"), ("red", "ride"), ("man", "woman")]
)
def test_other_words_are_not(one: str, other: str) -> None:
    assert not same_word(one, other)
    assert one not in ReferenceWords([f"the {other} there"])


def test_content_words_say_something_of_the_photo() -> None:
    words = ["a", "brown", "dog", "is", "running", "through", "the", "grass", ",", "with", "2", "of", "its", "toys"]
    assert [word for word in words if is_content_word(word)] == ["brown", "dog", "running", "grass", "toys"]
