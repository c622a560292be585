"""A toy language is aligned by what its words are translated by, wherever they stand."""

from __future__ import annotations

import numpy as np
import pytest

from regard.evidence.aligner import Aligner, Pair, symmetrise
from regard.metrics import alignment_error_rate

WORDS = {
    "dog": "Hund",
    "cat": "Katze",
    "red": "rot",
    "small": "klein",
    "runs": "rennt",
    "sleeps": "schläft",
    "in": "im",
}


def pairs(count: int) -> tuple[list[Pair], list[set[tuple[int, int]]]]:
    """Sentences whose two middle words change places; a target word more comes from nothing."""
    random, made, gold = np.random.default_rng(3), [], []
    for _ in range(count):
        source = [str(word) for word in random.permutation(list(WORDS))[: random.integers(2, 6)]]
        order = list(range(len(source)))
        if len(order) > 3:
            order[1], order[2] = order[2], order[1]
        target = [WORDS[source[i]] for i in order]
        made.append((source, [*target, "doch"]))
        gold.append({(i, j) for j, i in enumerate(order)})
    return made, gold


def test_words_are_aligned_with_what_they_come_from() -> None:
    made, gold = pairs(300)
    found = Aligner(made).align(made[:100])
    assert sum(own <= links for own, links in zip(gold, found, strict=False)) >= 98
    backward = Aligner([(target, source) for source, target in made])
    turned = [frozenset((i, j) for j, i in links) for links in backward.align([(t, s) for s, t in made[:100]])]
    both = [symmetrise(one, other, "intersection") for one, other in zip(found, turned, strict=True)]
    assert alignment_error_rate(both, gold[:100], gold[:100]) < 0.03


def test_sentences_without_words_and_words_never_seen_are_no_trouble() -> None:
    made, _ = pairs(20)
    aligner = Aligner(made)
    assert aligner.align([(["dog"], []), ([], ["Hund"]), (["unseen"], ["nie"])])[0] == frozenset()
    assert aligner.align([]) == []


def test_symmetry_by_hand() -> None:
    forward, backward = frozenset({(0, 0), (1, 1), (3, 2)}), frozenset({(0, 0), (1, 1), (2, 1), (4, 4)})
    assert symmetrise(forward, backward, "intersection") == {(0, 0), (1, 1)}
    assert symmetrise(forward, backward, "union") == forward | backward
    # (2, 1) is a neighbour of (1, 1), then (3, 2) one of (2, 1); (4, 4) is far and comes last
    assert symmetrise(forward, backward, "grow-diag-final") == {(0, 0), (1, 1), (2, 1), (3, 2), (4, 4)}
    far = frozenset({(0, 0), (0, 5)})
    assert symmetrise(far, frozenset({(0, 0)}), "grow-diag-final") == {(0, 0), (0, 5)}


@pytest.mark.parametrize("how", ["intersection", "union", "grow-diag-final"])
def test_what_both_say_stays(how: str) -> None:
    links = frozenset({(0, 1), (1, 0), (2, 2)})
    assert symmetrise(links, links, how) == links  # type: ignore[arg-type]
