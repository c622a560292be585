"""The learning of unigram pieces against sums over all segmentations, written out."""

import math
import random

import pytest
import torch

from regard.text.unigram import _best_segmentation, _digamma, _expected_counts, train_unigram


def segmentations(word: str) -> list[list[str]]:
    if not word:
        return [[]]
    return [[word[:end], *rest] for end in range(1, len(word) + 1) for rest in segmentations(word[end:])]


def pieces() -> dict[str, float]:
    return {"a": -2.0, "b": -1.5, "n": -2.5, "an": -1.8, "ana": -2.2, "ban": -2.4, "nab": -3.0}


def test_expected_counts_equal_the_sum_over_all_segmentations() -> None:
    known = pieces()
    expected = dict.fromkeys(known, 0.0)
    for word, count in [("banana", 3), ("nab", 2)]:
        allowed = [each for each in segmentations(word) if all(piece in known for piece in each)]
        weights = [math.exp(sum(known[piece] for piece in each)) for each in allowed]
        for each, weight in zip(allowed, weights, strict=True):
            for piece in each:
                expected[piece] += count * weight / sum(weights)
    assert _expected_counts([("banana", 3), ("nab", 2)], known) == pytest.approx(expected)


def test_best_segmentation_equals_brute_force() -> None:
    known = pieces()
    for word in ("banana", "nabana", "bb"):
        allowed = [each for each in segmentations(word) if all(piece in known for piece in each)]
        best = max(allowed, key=lambda each: sum(known[piece] for piece in each))
        found, score = _best_segmentation(word, known)
        assert found == best
        assert score == pytest.approx(sum(known[piece] for piece in best))


def test_a_piece_can_be_left_out() -> None:
    assert _best_segmentation("ana", pieces(), without="ana")[0] == ["an", "a"]
    assert _best_segmentation("a", pieces(), without="a")[1] == -math.inf


def test_digamma() -> None:
    for x in (0.5, 1.0, 3.7, 12.0, 1e6):
        assert _digamma(x) == pytest.approx(float(torch.digamma(torch.tensor(x, dtype=torch.float64))), rel=1e-8)


def test_the_order_of_words_does_not_matter() -> None:
    counts = {f"{a}{b}en": i + j + 1 for i, a in enumerate("lmnr") for j, b in enumerate(["ach", "auf", "ad"])}
    shuffled = list(counts.items())
    random.Random(1).shuffle(shuffled)
    alphabet = sorted(set("".join(counts)))
    learned = train_unigram(counts, alphabet=alphabet, size=20)
    assert learned == train_unigram(dict(shuffled), alphabet=alphabet, size=20)
    assert len(learned) == 20
    assert {piece for piece, _ in learned} >= set(alphabet)


def test_frequent_strings_become_pieces_and_long_words_do_no_harm() -> None:
    learned = dict(train_unigram({"running": 50, "jumping": 50, "x" * 3000: 2}, alphabet=list("runigjmpx"), size=15))
    assert any(piece.endswith("ing") for piece in learned)
    assert all(math.isfinite(score) for score in learned.values())
