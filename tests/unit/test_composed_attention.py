import numpy as np
import pytest

from regard.composed_attention import compose_attention, link_words, locate
from regard.results import Caption, SourceWord, TargetWord, TranslatedCaption, Translation, Word


def test_words_lead_back_into_their_text() -> None:
    text = "A dog, a DOG; a doghouse."
    spans = locate(["a", "dog", ",", "a", "dog", ";", "a", "doghouse", "."], text)
    assert [text[slice(*span)] for span in spans] == ["A", "dog", ",", "a", "DOG", ";", "a", "doghouse", "."]


@pytest.mark.parametrize("text", ["İstanbul dog", "ẞ dog", "DŽ dog"])
def test_letters_that_grow_in_lower_case_do_not_shift_the_words_after_them(text) -> None:
    (span,) = locate(["dog"], text)
    assert text[slice(*span)] == "dog"


@pytest.mark.parametrize(("word", "text"), [("İstanbul", "İstanbul dog"), ("ΟΔΟΣ", "οδοσ dog"), ("ẞ", "a ß dog")])
def test_a_word_is_lowered_as_its_text_is(word: str, text: str) -> None:
    (first, second) = locate([word, "dog"], text)
    assert first is not None
    assert first[1] - first[0] == len(word)
    assert second == (text.index("dog"), len(text))


def test_a_word_that_is_not_there_has_no_place_and_disturbs_no_other() -> None:
    assert locate(["a", "cat", "", "dog"], "a dog") == [(0, 1), None, None, (2, 5)]


def test_the_translator_may_cut_words_differently() -> None:
    alignment = np.array([[0.5, 0.5], [0.0, 1.0]])
    links = link_words(alignment, [(0, 8), (8, 9)], [(0, 3), (3, 8), None])
    # the first source word is the first two of the caption, 3 and 5 letters; the added full stop is none of them
    assert np.allclose(links[0], 0.5 * np.array([3 / 8, 5 / 8, 0]) + 0.5 / 3)
    assert np.allclose(links[1], 1 / 3)


def test_a_translated_word_looks_where_its_source_words_looked() -> None:
    looks = [np.eye(3)[i][:, None] * np.ones((1, 2)) / 2 for i in range(3)]
    links = np.array([[0.2, 0.3, 0.5]])
    (chained,) = compose_attention(links, looks)
    assert chained.sum() == pytest.approx(1)
    assert np.allclose(chained, sum(w * look for w, look in zip(links[0], looks, strict=True)))


def test_words_of_a_translated_caption_sum_to_one_on_the_photo(translated) -> None:
    assert [word.text for word in translated.words] == ["Ein", "Hund", "läuft", "am", "Strand", "."]
    assert all(word.weights.sum() == pytest.approx(1) for word in translated.words)
    assert np.allclose(translated.links.sum(axis=1), 1)


def test_a_translated_caption_of_one_to_one_words_repeats_their_looks(make_caption) -> None:
    caption: Caption = make_caption("A dog runs.")
    sources = (
        SourceWord("A", (0, 1)),
        SourceWord("dog", (2, 5)),
        SourceWord("runs", (6, 10)),
        SourceWord(".", (10, 11)),
    )
    order = [2, 0, 1, 3]
    targets = tuple(TargetWord(text, 0.5) for text in ("läuft", "ein", "hund", "."))
    translation = Translation(caption.text, "läuft ein hund.", -1, sources, targets, np.eye(4)[order], (), True)
    result = TranslatedCaption(caption, translation)
    for word, index in zip(result.words, order, strict=True):
        assert isinstance(word, Word)
        assert np.allclose(word.weights, caption.words[index].weights, atol=1e-7)
