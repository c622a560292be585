"""Drawn segmentations: they spell the word, repeat themselves, and come as often as the papers say."""

import math
from collections import Counter
from random import Random

import pytest

from regard.text import SubwordTokenizer
from regard.text.subword_regularisation import (
    VARIANTS,
    SegmentationSampler,
    dropped_merges,
    sampled_segmentations,
)
from regard.text.subwords import SubwordModel

TEXTS = ["the dog sees the doghouse", "a dog and two dogs run", "개가 달린다", "개 두 마리가 달린다"] * 3


@pytest.mark.parametrize(("model", "dropout"), [("bpe", 0.3), ("unigram", 0.99)])
def test_drawn_pieces_spell_the_word(model: SubwordModel, dropout: float) -> None:
    tokenizer = SubwordTokenizer.train(TEXTS, model=model, size=320)
    sampler = SegmentationSampler(tokenizer, dropout=dropout, seed=3)
    for text in TEXTS[:4]:
        for place in range(VARIANTS):
            ids = [each for word in tokenizer.spelled_words(text) for each in sampler.variants(word)[place]]
            assert tokenizer.decode(ids) == text
    word = tokenizer.spelled_words("a doghouse")[1]
    drawn = sampler.variants(word)
    assert len(set(drawn)) > 1
    assert SegmentationSampler(tokenizer, dropout=dropout, seed=3).variants(word) == drawn
    assert SegmentationSampler(tokenizer, dropout=dropout, seed=4).variants(word) != drawn


@pytest.mark.parametrize("model", ["bpe", "unigram"])
def test_without_dropout_pieces_are_the_tokenizers_own(model: SubwordModel) -> None:
    tokenizer = SubwordTokenizer.train(TEXTS, model=model, size=320)
    sampler = SegmentationSampler(tokenizer, dropout=0.0, seed=3)
    for text in [*TEXTS[:4], "", "zebra"]:
        ids = [each for word in tokenizer.spelled_words(text) for each in sampler.variants(word)[0]]
        assert tuple(ids) == tokenizer.encode(text).ids


def test_a_merge_is_passed_over_with_the_given_probability() -> None:
    ranks = {("a", "b"): 0, ("ab", "c"): 1}
    random = Random(0)
    drawn = Counter(" ".join(dropped_merges("abc", ranks, 0.3, random)) for _ in range(20_000))
    # a b c: the first merge is dropped; ab c: only the second is
    assert drawn["a b c"] / 20_000 == pytest.approx(0.3, abs=0.015)
    assert drawn["ab c"] / 20_000 == pytest.approx(0.7 * 0.3, abs=0.015)
    assert drawn["abc"] / 20_000 == pytest.approx(0.7 * 0.7, abs=0.015)
    assert dropped_merges("abc", ranks, 0.0, random) == ["abc"]


def test_segmentations_come_as_often_as_their_scores_say() -> None:
    scores = {"a": -1.0, "b": -1.5, "ab": -1.2, "c": -0.5, "bc": -0.9}
    weights = {"a b c": -3.0, "ab c": -1.7, "a bc": -1.9}
    drawn = Counter(" ".join(each) for each in sampled_segmentations("abc", scores, Random(1), count=30_000))
    total = sum(math.exp(score) for score in weights.values())
    for pieces, score in weights.items():
        assert drawn[pieces] / 30_000 == pytest.approx(math.exp(score) / total, abs=0.015)
    assert drawn.keys() == weights.keys()
