"""The words of the training sources: odd spellings are read as usual ones, and foreign texts are told apart."""

from pathlib import Path

import pytest

from regard.errors import ModelError
from regard.text import SubwordTokenizer
from regard.text.source_words import FILE, SourceWords

ENGLISH = ["A dog runs on the beach.", "Two dogs run.", "The man's dog sleeps on a bench.", 'He says "no" - I see.'] * 9
GERMAN = [
    "Ein Hund läuft am Strand.",
    "Zwei Mädchen laufen auf der Straße.",
    "Ein Mann und ein Kind in einem Park am See schlafen.",
] * 9
ENGLISH_WORDS = SourceWords.learn(ENGLISH, ENGLISH[:4])
GERMAN_WORDS = SourceWords.learn(GERMAN, GERMAN[:3])


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("A DOG RUNS ON THE BEACH.", "A dog runs on the beach."),
        ("A Dog Runs On The Beach.", "A dog runs on the beach."),
        ("DOG", "Dog"),
        ("A DOG runs.", "A dog runs."),
        ("THE DOG RUNS. TWO DOGS SLEEP!", "The dog runs. Two dogs sleep!"),
        ("The man’s dog says “no” – I see.", 'The man\'s dog says "no" - I see.'),
        ("THE ZEBRA RUNS.", "The zebra runs."),
        ("The Zebra runs.", "The Zebra runs."),
        ("", ""),
    ],
)
def test_a_text_is_read_in_the_spelling_of_the_data(typed: str, read: str) -> None:
    assert ENGLISH_WORDS.restored(typed).text == read


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("EIN HUND LÄUFT AM STRAND.", "Ein Hund läuft am Strand."),
        ("ein hund läuft am strand.", "ein Hund läuft am Strand."),
        ("Zwei Maedchen laufen auf der Strasse.", "Zwei Mädchen laufen auf der Straße."),
        ("ZWEI MAEDCHEN AUF DER STRASSE", "Zwei Mädchen auf der Straße"),
        ("Das Laufen", "Das Laufen"),
        ("DER ZEBRASTREIFEN", "Der Zebrastreifen"),
    ],
)
def test_german_nouns_get_their_capital(typed: str, read: str) -> None:
    assert GERMAN_WORDS.restored(typed).text == read


def test_what_is_read_otherwise_stands_where_it_was_typed() -> None:
    tokenizer = SubwordTokenizer.train(GERMAN, size=320)
    for text in ["  ZWEI   MAEDCHEN  (AUF DER STRASSE)…", "Ein Hund läuft.", "Zwei Ma\u0308dchen", ""]:
        encoded = GERMAN_WORDS.encode(tokenizer, text)
        assert encoded.text == text
        assert encoded.ids == tokenizer.encode(GERMAN_WORDS.restored(text).text).ids
        assert all(0 <= start <= end <= len(text) for start, end in encoded.spans)
    encoded = GERMAN_WORDS.encode(tokenizer, "  ZWEI   MAEDCHEN  (AUF DER STRASSE)…")
    assert [word.text for word in encoded.words] == ["ZWEI", "MAEDCHEN", "(", "AUF", "DER", "STRASSE", ")", "…"]


def test_the_data_are_read_as_they_are() -> None:
    for words, texts in ((ENGLISH_WORDS, ENGLISH), (GERMAN_WORDS, GERMAN)):
        assert all(words.restored(text).text == text for text in texts)


def test_what_is_unlike_the_data_is_unfamiliar() -> None:
    assert not ENGLISH_WORDS.unfamiliar("A dog sleeps on the beach.")
    assert not ENGLISH_WORDS.unfamiliar("A DOG SLEEPS ON THE BEACH.")
    assert ENGLISH_WORDS.unfamiliar("The government announced new measures.")
    assert not ENGLISH_WORDS.unfamiliar("")
    assert not ENGLISH_WORDS.unfamiliar("12.5 %")


def test_words_are_saved_whole_or_refused(tmp_path: Path) -> None:
    assert SourceWords.load(tmp_path) is None
    GERMAN_WORDS.save(tmp_path)
    loaded = SourceWords.load(tmp_path)
    assert loaded is not None
    assert (loaded.counts, loaded.usual, loaded.limit) == (
        GERMAN_WORDS.counts,
        GERMAN_WORDS.usual,
        GERMAN_WORDS.limit,
    )
    for damage in (
        *('"counts": []', '"counts": {"a": 0}', '"counts": {"": 1}', '"counts": {"a": 1}, "usual": "x"'),
        *('"counts": {"a": 1' + "0" * 400 + "}", '"counts": {"\\ud800": 1}', '"counts": {"a": 1}, "limit": NaN'),
    ):
        (tmp_path / FILE).write_text(f'{{"version": 1, "usual": 1.0, "limit": 2.0, {damage}}}', encoding="utf-8")
        with pytest.raises(ModelError, match="holds no counts"):
            SourceWords.load(tmp_path)
