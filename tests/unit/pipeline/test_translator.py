"""Sentences in, translations out: in order, whatever their length and script, each word with what it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from regard.config import parse
from regard.errors import ConfigError, TextError
from regard.model import EncoderDecoder, ModelSettings
from regard.pipeline import Captioner, Translator, translate_caption
from regard.pipeline.generation import Generation, generate
from regard.pipeline.length_buckets import PAUSE, Pause
from regard.pipeline.pivot import as_sentence
from regard.pipeline.segments import MAX_PIECES, Source, segment_source
from regard.results import Translation
from regard.saved.bundle import Bundle
from regard.text import Tokenizer

TEXTS = ["A dog runs on the beach.", "", "Two dogs sit near a car.", "A girl", "Some people jump over a log.", "Dog"]


@pytest.fixture
def translator(tiny_translator: Bundle) -> Translator:
    return Translator(tiny_translator)


def check(translation: Translation, text: str) -> None:
    """What holds for every translation."""
    assert translation.source == text
    assert [text[start:end] for start, end in (word.span for word in translation.source_words)] == [
        word.text for word in translation.source_words
    ]
    assert translation.alignment.shape == (len(translation.words), len(translation.source_words))
    if translation.alignment.size:
        assert np.allclose(translation.alignment.sum(axis=1), 1, atol=1e-9)
        assert translation.alignment.min() >= 0
    assert all(0 < word.probability <= 1 for word in translation.words)
    texts = [translation.text, *(other.text for other in translation.alternatives)]
    assert len(set(texts)) == len(texts)
    json.dumps(translation.to_dict())


def test_a_translation_holds_words_of_both_sides(translator: Translator) -> None:
    translation = translator.translate(TEXTS[0])
    check(translation, TEXTS[0])
    assert [word.text for word in translation.source_words] == ["A", "dog", "runs", "on", "the", "beach", "."]
    assert "".join(word.text for word in translation.words) == "".join(translation.text.split())
    assert 1 <= len(translation.alternatives) <= 2


def test_a_text_that_fails_costs_no_other_whatever_it_raises(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [str(each) for each in translator.translate_many(TEXTS)]

    def read(text: str, tokenizer: Tokenizer, **how: Any) -> Source:
        if text == TEXTS[4]:
            raise RecursionError("too deep")
        return segment_source(text, tokenizer, **how)

    def search_and_fail(*given: Any, numbers: Sequence[int], **options: Any) -> list[Generation]:
        if any(number // MAX_PIECES == 2 for number in numbers):
            raise ZeroDivisionError("in a batch")
        return generate(*given, numbers=numbers, **options)

    monkeypatch.setattr("regard.pipeline.translator.segment_source", read)
    monkeypatch.setattr("regard.pipeline.translator.generate", search_and_fail)
    results = list(translator.translate_many(TEXTS))
    assert [i for i, each in enumerate(results) if isinstance(each, TextError)] == [2, 4]
    assert "ZeroDivisionError: in a batch" in str(results[2])
    assert "RecursionError: too deep" in str(results[4])
    assert [str(results[i]) for i in (0, 1, 3, 5)] == [expected[i] for i in (0, 1, 3, 5)]


def test_an_empty_text_has_an_empty_translation(translator: Translator) -> None:
    for text in ("", " \n "):
        translation = translator.translate(text)
        check(translation, text)
        assert (translation.text, translation.words, translation.score, translation.finished) == ("", (), 0.0, True)


def test_a_batch_gives_what_each_by_itself_gives(translator: Translator) -> None:
    alone = [translator.translate(text) for text in TEXTS]
    for batch in (1, 2, 64):
        together = list(translator.translate_many(TEXTS * 9, batch=batch))
        for ours, theirs in zip(together, alone * 9, strict=True):
            assert isinstance(ours, Translation)
            assert (ours.source, ours.text) == (theirs.source, theirs.text)
            assert ours.score == pytest.approx(theirs.score, rel=1e-4)
            assert ours.alignment == pytest.approx(theirs.alignment, abs=1e-4)


def test_texts_are_asked_for_as_they_are_needed(translator: Translator) -> None:
    asked: list[int] = []

    def endless(text: str) -> Iterator[str]:
        for number in range(10_000):
            asked.append(number)
            yield text

    for text in ("Dog", "", "a " * 99_999):
        asked.clear()
        next(translator.translate_many(endless(text), batch=2))
        assert len(asked) <= 32


def test_a_long_text_is_translated_in_parts_that_are_aligned_with_themselves(translator: Translator) -> None:
    first, second = "A dog runs on the beach.", "Two dogs sit near a car."
    parts = [translator.translate(text) for text in (first, second)]
    whole = translator.translate(f"{first} {second}")
    check(whole, f"{first} {second}")
    assert whole.text == " ".join(part.text for part in parts)
    rows, columns = parts[0].alignment.shape
    assert whole.alignment[:rows, :columns] == pytest.approx(parts[0].alignment, abs=1e-4)
    assert whole.alignment[rows:, columns:] == pytest.approx(parts[1].alignment, abs=1e-4)
    assert not whole.alignment[:rows, columns:].any()
    assert not whole.alignment[rows:, :columns].any()
    assert min(part.score for part in parts) <= whole.score <= max(part.score for part in parts)
    assert whole.alternatives
    short = translator.translate("Dog. Cat.")
    assert short.text == " ".join(translator.translate(text).text for text in ("Dog.", "Cat."))


def test_a_translator_that_reads_whole_texts_does_not_cut_them(tiny_translator: Bundle) -> None:
    text = "A dog runs on the beach. Two dogs sit near a car."
    translation = Translator(tiny_translator, whole=True).translate(text)
    check(translation, text)
    assert (translation.alignment > 0).all(), "every word was looked at from every word"


def test_a_translation_knows_whether_its_model_looks(tiny_translator: Bundle) -> None:
    sizes = {"name": "rnnencdec", "embedding": 4, "hidden": 5, "readout": 4}
    settings = {"encoder": {"name": "recurrent", "embedding": 4, "hidden": 3}, "decoder": sizes}
    size = tiny_translator.tokenizer.size
    parsed = parse(ModelSettings, settings, origin="the test")
    model = EncoderDecoder(parsed, vocabulary_size=size, source_vocabulary_size=size)
    assert not Translator(replace(tiny_translator, model=model)).translate("A dog.").attends
    assert Translator(tiny_translator).translate("A dog.").attends


@pytest.mark.parametrize(
    "text",
    [
        "\x00\x01\x1b[31mred\x7f",
        "كلب يجري على الشاطئ",
        "狗在海滩上奔跑。",
        "🐕‍🦺 runs 🏖️",
        "e\u0301 \u200b\u2028 \ufeff",
        "x" * 300,
        "a dog " * 200,
        "\t a  dog \r\n runs ",
    ],
)
def test_any_text_gets_an_answer(translator: Translator, text: str) -> None:
    check(translator.translate(text), text)


def test_a_text_that_cannot_be_translated_stands_in_its_place(translator: Translator) -> None:
    given = ["Dog", "half \ud800", "Dog", "a " * 50_001, "Dog"]
    results = list(translator.translate_many(given, batch=2))
    assert [isinstance(result, TextError) for result in results] == [False, True, False, True, False]
    assert results[0].text == results[4].text == translator.translate("Dog").text
    with pytest.raises(TextError, match="surrogate"):
        translator.translate("half \ud800")


def test_what_is_drawn_for_a_text_depends_on_its_number_alone(translator: Translator) -> None:
    texts = [*TEXTS, "A dog runs. Two dogs sit.", *TEXTS]
    drawn = [str(each) for each in translator.translate_many(texts, samples=1, batch=2)]
    assert drawn[: len(TEXTS)] != drawn[-len(TEXTS) :]
    for first in (3, 7):
        rest = translator.translate_many(texts[first:], samples=1, batch=3, first=first)
        assert [str(each) for each in rest] == drawn[first:]


def test_a_prefix_is_written_first(translator: Translator) -> None:
    translation = translator.translate(TEXTS[0], prefix="Zwei Hu", max_length=20)
    check(translation, TEXTS[0])
    assert translation.text.startswith("Zwei Hu")
    assert all(other.text.startswith("Zwei Hu") for other in translation.alternatives)


def test_alternatives_for_a_word_keep_what_stands_before_it(translator: Translator) -> None:
    translation = translator.translate(TEXTS[0])
    for word in range(len(translation.words)):
        others = translator.alternatives_for(translation, word, count=3)
        before = [each.text for each in translation.words[:word]]
        chosen = [other.words[word].text for other in others]
        assert 1 <= len(others) <= 3
        assert len({*chosen, translation.words[word].text}) == len(others) + 1
        probabilities = [other.words[word].probability for other in others]
        assert probabilities == sorted(probabilities, reverse=True)
        for other in others:
            check(other, TEXTS[0])
            assert [each.text for each in other.words[:word]] == before
    with pytest.raises(ConfigError, match="there is no word 99"):
        translator.alternatives_for(translation, 99)
    with pytest.raises(TextError, match="the text has 2 parts; ask about one sentence at a time"):
        translator.alternatives_for(translator.translate(f"{TEXTS[0]} {TEXTS[2]}"), 0)


def test_a_word_may_be_written_in_letters_that_change_their_number(translator: Translator) -> None:
    """In small letters, İ is two."""
    translation = translator.translate(TEXTS[0], prefix="İ ŞİŞ", max_length=16)
    others = translator.alternatives_for(translation, 1, max_length=16)
    assert others
    assert all(other.words[0].text == translation.words[0].text for other in others)


def test_a_source_tokenizer_of_its_own_is_read_with(tiny_translator: Bundle) -> None:
    class Counting:
        def __init__(self) -> None:
            self.texts: list[str] = []

        def encode(self, text: str, *, eos: bool = False) -> object:
            self.texts.append(text)
            return tiny_translator.tokenizer.encode(text, eos=eos)

    own = Counting()
    Translator(replace(tiny_translator, source_tokenizer=own)).translate("Dog")  # type: ignore[arg-type]
    assert "Dog" in own.texts


def test_a_caption_is_translated_and_leads_back_to_the_photo(tiny_captioner: Bundle, tiny_translator: Bundle) -> None:
    rng = np.random.default_rng(1)
    caption = Captioner(tiny_captioner).caption(rng.integers(0, 256, (50, 60, 3), dtype=np.uint8))
    result = translate_caption(caption, Translator(replace(tiny_translator, longest_source=50)))
    assert result.translation.source == caption.text
    assert [word.text for word in result.translation.source_words] == [word.text for word in caption.words]
    assert np.allclose(result.translation.alignment.sum(axis=1), 1)
    assert [word.text for word in result.words] == [word.text for word in result.translation.words]
    assert all(word.weights.shape == (3, 3) and word.weights.sum() == pytest.approx(1) for word in result.words)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a dog runs", "A dog runs."),
        ("", ""),
        ("A dog.", "A dog."),
        ("ß", "ß."),
        ("why?", "Why?"),
        ("2 dogs", "2 dogs."),
    ],
)
def test_a_caption_becomes_a_sentence_of_which_each_letter_stays_in_place(text: str, sentence: str) -> None:
    assert as_sentence(text) == sentence


def test_translations_after_a_beginning_differ_in_the_next_word(translator: Translator) -> None:
    others = translator.translations_after(TEXTS[0], "Zwei Hunde", count=3, max_length=24)
    assert 1 <= len(others) <= 3
    assert len({other.words[2].text for other in others}) == len(others)
    for other in others:
        check(other, TEXTS[0])
        assert [word.text for word in other.words[:2]] == ["Zwei", "Hunde"]
    with pytest.raises(TextError, match="the text has 0 parts"):
        translator.translations_after("", "Zwei")


def test_one_text_where_many_are_meant_and_many_where_one_is(translator: Translator) -> None:
    with pytest.raises(ConfigError, match=r"translate_many takes many texts, and was given one: 'A dog.'"):
        translator.translate_many("A dog.")
    given: Any
    for given, remedy in ((["A dog."], "translate_many"), (None, "give a str"), (3, "give a str")):
        with pytest.raises(TextError, match=f"is no text; .*{remedy}"):
            translator.translate(given)


def test_a_pause_has_the_texts_before_it_answered(translator: Translator) -> None:
    asked: list[str] = []

    def texts() -> Iterator[str | Pause]:
        for text in TEXTS:
            asked.append(text)
            yield text
            yield PAUSE
            yield PAUSE

    answers = translator.translate_many(texts())
    expected = [each.text for each in translator.translate_many(TEXTS) if isinstance(each, Translation)]
    for number, text in enumerate(expected, start=1):
        answer = next(answers)
        assert isinstance(answer, Translation)
        assert (answer.text, len(asked)) == (text, number)
    assert list(answers) == []
