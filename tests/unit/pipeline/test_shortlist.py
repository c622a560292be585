"""Translations in the pieces of a shortlist: one for each sentence, a prefix and a chosen word always among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from regard.config import parse
from regard.errors import ModelError
from regard.model import EncoderDecoder, ModelSettings
from regard.pipeline import Translator, load
from regard.results import Translation
from regard.saved.bundle import Bundle
from regard.text import Lexicon
from regard.text.vocabulary import EOS

TEXTS = ["A dog runs on the beach.", "", "Two dogs sit near a car.", "A girl", "Some people jump over a log.", "Dog"]


def random_lexicon(size: int, *, each: int = 6) -> Lexicon:
    """Six random pieces for each piece, and no frequent ones."""
    pieces = np.random.default_rng(0).integers(4, size, each * size)
    return Lexicon(np.arange(each, each * size + 1, each), pieces, np.empty(0, dtype=np.int64), size)


@pytest.fixture(params=["luong", "rnnsearch"])
def bundle(request: pytest.FixtureRequest, tiny_translator: Bundle) -> Bundle:
    """With the tiny translator's own decoder, and with one that takes its vocabulary product for candidates alone."""
    size = tiny_translator.tokenizer.size
    bundle = replace(tiny_translator, lexicon=random_lexicon(size))
    if request.param == "luong":
        return bundle
    decoder = {"name": "rnnsearch", "embedding": 8, "hidden": 10, "readout": 6, "attention": 5}
    settings = {"encoder": {"name": "recurrent", "embedding": 8, "hidden": 6}, "decoder": decoder}
    model = EncoderDecoder(
        parse(ModelSettings, settings, origin="the test"), vocabulary_size=size, source_vocabulary_size=size
    )
    for number, parameter in enumerate(model.parameters()):
        values = np.random.default_rng(number).normal(0, 0.8, tuple(parameter.shape))
        parameter.data.copy_(parameter.new_tensor(values))
    return replace(bundle, model=model.eval().requires_grad_(False))


@pytest.fixture
def translator(bundle: Bundle) -> Translator:
    return Translator(bundle, shortlist=True)


def pieces_of(bundle: Bundle, text: str) -> set[int]:
    assert bundle.lexicon is not None
    return {
        *bundle.lexicon.shared.tolist(),
        *bundle.lexicon.becomes([*bundle.tokenizer.encode(text).ids, EOS]).tolist(),
    }


def test_every_sentence_is_written_in_its_own_pieces_whatever_stands_beside_it(
    bundle: Bundle, translator: Translator
) -> None:
    alone = [translator.translate(text) for text in TEXTS]
    plain = Translator(bundle)
    assert [each.text for each in alone] != [plain.translate(text).text for text in TEXTS]
    for batch in (1, 2, 64):
        for ours, theirs in zip(translator.translate_many(TEXTS * 3, batch=batch), alone * 3, strict=True):
            assert isinstance(ours, Translation)
            assert ours.text == theirs.text
            assert ours.score == pytest.approx(theirs.score, rel=1e-4)
            assert ours.alignment == pytest.approx(theirs.alignment, abs=1e-4)


def test_a_list_of_everything_changes_nothing(bundle: Bundle) -> None:
    everything = replace(random_lexicon(bundle.tokenizer.size), frequent=np.arange(bundle.tokenizer.size))
    short = Translator(replace(bundle, lexicon=everything), shortlist=True)
    plain = Translator(replace(bundle, lexicon=None))
    for options in ({}, {"no_repeat": 1}, {"samples": 2, "seed": 3}, {"beam": 4, "groups": 2}):
        for ours, theirs in zip(
            short.translate_many(TEXTS, **options), plain.translate_many(TEXTS, **options), strict=True
        ):
            assert isinstance(ours, Translation)
            assert isinstance(theirs, Translation)
            assert [str(ours), *map(str, ours.alternatives)] == [str(theirs), *map(str, theirs.alternatives)]
            assert ours.score == pytest.approx(theirs.score, rel=1e-4)


def test_probabilities_are_those_among_the_list(bundle: Bundle, translator: Translator) -> None:
    """Fewer rivals, so the same words are more probable."""
    prefix = "Zwei Hunde"
    short, plain = (each.translate(TEXTS[0], prefix=prefix, max_length=20) for each in (translator, Translator(bundle)))
    for one, other in zip(short.words[:2], plain.words[:2], strict=True):
        assert one.probability > other.probability


def test_a_prefix_may_hold_any_piece(bundle: Bundle, translator: Translator) -> None:
    prefix = "Zwei Hu"
    assert not set(bundle.tokenizer.encode(prefix).ids) <= pieces_of(bundle, TEXTS[0])
    results = list(translator.translate_many(TEXTS[:1] * 3, prefix=prefix, max_length=20))
    assert all(isinstance(each, Translation) and each.text.startswith(prefix) for each in results)


def test_another_word_may_be_any(translator: Translator) -> None:
    translation = translator.translate(TEXTS[0])
    for word in range(len(translation.words)):
        others = translator.alternatives_for(translation, word, count=3, max_length=30)
        before = [each.text for each in translation.words[:word]]
        assert others
        for other in others:
            assert [each.text for each in other.words[:word]] == before
            assert other.words[word].text != translation.words[word].text


def test_without_a_lexicon_there_is_no_shortlist(tiny_translator: Bundle) -> None:
    with pytest.raises(ModelError, match="the model has no lexicon to choose a shortlist from; make one"):
        Translator(tiny_translator, shortlist=True)
    with pytest.raises(ModelError, match="flickr8k: is a captioner, and shortlists are for translators"):
        load("flickr8k", shortlist=True)
