import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regard.errors import DataError
from regard.metrics.cider import CiderD, corpus_cider_d

sentences = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=9)
groups = st.lists(sentences, min_size=1, max_size=4)

DOGS = [["a", "dog", "runs"], ["the", "dog", "is", "running", "fast"]]
MEN = [["two", "men", "sit"], ["men", "on", "a", "bench"], ["a", "bench"]]


def literal_cider_d(
    hypothesis: list[str], references: list[list[str]], corpus: list[list[list[str]]], sigma: float = 6.0
) -> float:
    """The formula in the order of the paper, with vectors over all n-grams that there are."""

    def ngrams(words: list[str], order: int) -> list[tuple[str, ...]]:
        return [tuple(words[i : i + order]) for i in range(len(words) - order + 1)]

    total = 0.0
    for order in range(1, 5):
        space = sorted({g for words in [hypothesis, *references] for g in ngrams(words, order)})
        frequency = [sum(any(g in ngrams(r, order) for r in image) for image in corpus) for g in space]
        rarity = [math.log(len(corpus)) - math.log(max(1, count)) for count in frequency]

        def vector(words: list[str], order: int = order, space: list = space, rarity: list = rarity) -> list[float]:
            return [ngrams(words, order).count(g) * weight for g, weight in zip(space, rarity, strict=True)]

        spoken = vector(hypothesis)
        for reference in references:
            written = vector(reference)
            size = math.hypot(*spoken) * math.hypot(*written)
            overlap = sum(min(s, w) * w for s, w in zip(spoken, written, strict=True))
            distance = max(0, len(hypothesis) - 1) - max(0, len(reference) - 1)
            total += (overlap / size if size else 0.0) * math.exp(-(distance**2) / (2 * sigma**2))
    return 10 * total / (4 * len(references))


@given(st.lists(st.tuples(sentences, groups), min_size=1, max_size=5))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_equals_the_formula_written_out(corpus: list[tuple[list[str], list[list[str]]]]) -> None:
    references = [group for _, group in corpus]
    cider = CiderD.from_references(references)
    for hypothesis, group in corpus:
        expected = literal_cider_d(hypothesis, group, references)
        assert cider.score(hypothesis, cider.reference_vectors(group)) == pytest.approx(expected, abs=1e-9)


def test_one_image_scores_zero() -> None:
    assert corpus_cider_d([DOGS[0]], [DOGS]) == 0.0


def test_a_copied_reference_beats_a_shuffled_one_and_a_foreign_sentence() -> None:
    cider = CiderD.from_references([DOGS, MEN])
    vectors = cider.reference_vectors(DOGS)
    copied = cider.score(["the", "dog", "is", "running", "fast"], vectors)
    shuffled = cider.score(["fast", "running", "is", "dog", "the"], vectors)
    assert copied > shuffled > 0
    assert cider.score(["two", "men", "sit"], vectors) == 0.0
    assert cider.score([], vectors) == 0.0


def test_a_single_reference_copied_scores_ten() -> None:
    sentence = ["the", "dog", "is", "running", "fast"]
    cider = CiderD.from_references([[sentence], MEN])
    assert cider.score(sentence, cider.reference_vectors([sentence])) == pytest.approx(10.0, abs=1e-12)


def test_ids_score_as_their_words_and_one_scorer_serves_many_images_in_any_order() -> None:
    ids = {word: 1000 - index for index, word in enumerate({word for r in [*DOGS, *MEN] for word in r})}
    numbered = [[tuple(ids[word] for word in reference) for reference in group] for group in (DOGS, MEN)]
    words, numbers = CiderD.from_references([DOGS, MEN]), CiderD.from_references(numbered)
    word_vectors = [words.reference_vectors(group) for group in (DOGS, MEN)]
    number_vectors = [numbers.reference_vectors(group) for group in numbered]
    for image in (1, 0, 1):
        for hypothesis in (DOGS[0], MEN[1]):
            as_words = words.score(hypothesis, word_vectors[image])
            assert as_words == numbers.score([ids[word] for word in hypothesis], number_vectors[image])


def test_words_outside_the_counted_references_are_told_apart() -> None:
    """References and hypotheses may hold words that the frequencies never saw, and equal words still match."""
    cider = CiderD.from_references([DOGS, MEN])
    vectors = cider.reference_vectors([["zebra", "gallops"]])
    assert cider.score(["zebra", "gallops"], vectors) == pytest.approx(5.0, abs=1e-12)  # two of four orders exist
    assert cider.score(["gallops", "zebra"], vectors) == pytest.approx(2.5, abs=1e-12)
    assert cider.score(["quagga", "trots"], vectors) == 0.0
    # a score leaves nothing behind
    assert cider.score(["zebra", "gallops"], vectors) == pytest.approx(5.0, abs=1e-12)


def test_length_is_counted_in_bigrams() -> None:
    cider = CiderD.from_references([[["a"]], [["b"]]])
    vectors = cider.reference_vectors([["a"]])
    # "a b" has one bigram more than "a": cosine 1/√2 for one order of four
    expected = 10 / 4 * (1 / math.sqrt(2)) * math.exp(-1 / 72)
    assert cider.score(["a", "b"], vectors) == pytest.approx(expected, abs=1e-12)
    # an empty hypothesis and one word both have no bigram
    assert cider.score(["a"], vectors) == pytest.approx(10 / 4, abs=1e-12)


def test_input_that_cannot_be_scored_is_refused() -> None:
    with pytest.raises(DataError, match="empty"):
        CiderD.from_references([])
    with pytest.raises(DataError, match="item 1 has no reference"):
        CiderD.from_references([DOGS, []])
    cider = CiderD.from_references([DOGS, MEN])
    with pytest.raises(DataError, match="no reference"):
        cider.reference_vectors([])
    with pytest.raises(DataError, match="1 hypotheses, 2 references"):
        corpus_cider_d([["a"]], [DOGS, MEN])
