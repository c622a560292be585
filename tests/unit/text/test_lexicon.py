"""What pieces become is what the formulas say, whatever the order of the work; lists hold the most probable."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from regard.errors import ModelError
from regard.text.lexicon import FILE, NOTHING, Lexicon, Translations, learn_translations

SOURCES = [[5, 6, 2], [5, 7, 2], [8, 6, 6, 9, 2], [2], [7, 2]]
TARGETS = [[4, 5], [4, 6], [7, 5, 5, 8, 9], [6], []]


def by_hand(rounds: int) -> dict[tuple[int, int], float]:
    """The formulas one sum at a time."""
    pairs = [([NOTHING, *source], target) for source, target in zip(SOURCES, TARGETS, strict=True)]
    p: dict[tuple[int, int], float] = defaultdict(lambda: 1.0)
    for _ in range(rounds):
        counts: dict[tuple[int, int], float] = defaultdict(float)
        for source, target in pairs:
            for t in target:
                total = sum(p[s, t] for s in source)
                for s in source:
                    counts[s, t] += p[s, t] / total
        totals: dict[int, float] = defaultdict(float)
        for (s, _), count in counts.items():
            totals[s] += count
        p = defaultdict(float, {link: count / totals[link[0]] for link, count in counts.items()})
    return p


def as_dict(found: Translations) -> dict[tuple[int, int], float]:
    return dict(zip(zip(found.sources.tolist(), found.targets.tolist(), strict=True), found.probabilities, strict=True))


@pytest.mark.parametrize("chunk", [1, 3, 7, 10**6])
@pytest.mark.parametrize("rounds", [1, 2, 6])
def test_probabilities_are_those_of_the_formulas(rounds: int, chunk: int) -> None:
    found = as_dict(learn_translations(SOURCES, TARGETS, rounds=rounds, chunk=chunk))
    expected = by_hand(rounds)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=1e-12)


def test_words_that_tell_each_other_apart_are_found() -> None:
    """The example of every lecture: the house, the book, a book."""
    the, house, book, a = 4, 5, 6, 7
    das, haus, buch, ein = 14, 15, 16, 17
    found = as_dict(learn_translations([[the, house], [the, book], [a, book]], [[das, haus], [das, buch], [ein, buch]]))
    for source, target in ((the, das), (house, haus), (book, buch), (a, ein)):
        assert found[source, target] == max(value for (s, _), value in found.items() if s == source)


def test_nothing_is_learned_from_nothing() -> None:
    for sources, targets in (([], []), ([[2], [5, 2]], [[], []])):
        assert as_dict(learn_translations(sources, targets)) == {}


@pytest.fixture
def lexicon() -> Lexicon:
    """4 becomes 10, 11 and 12, in this order; 6 becomes 9; 7 and the specials become nothing."""
    found = Translations(
        sources=np.array([NOTHING, 4, 4, 4, 4, 6]),
        targets=np.array([13, 9, 10, 11, 12, 9]),
        probabilities=np.array([1.0, 0.001, 0.6, 0.25, 0.149, 1.0]),
    )
    return Lexicon.choose(found, [[8, 8, 5, 5, 5], [8, 8, 12]], reads=8, writes=15, most=2, frequent=1)


def test_a_list_holds_the_most_probable_the_frequent_and_the_special_pieces(lexicon: Lexicon) -> None:
    assert lexicon.shared.tolist() == [0, 1, 2, 3, 8]
    lists = [lexicon.becomes(source).tolist() for source in ([4, 2], [6, 7, 6], [], [7, 4, 6])]
    assert lists == [[10, 11], [9], [], [9, 10, 11]]


def test_what_is_hardly_probable_is_left_out_and_what_never_stood_there_is_not_frequent() -> None:
    found = Translations(np.array([4, 4]), np.array([9, 10]), np.array([0.999, 0.001]))
    lexicon = Lexicon.choose(found, [[9]], reads=5, writes=11, most=5, frequent=7)
    assert lexicon.frequent.tolist() == [9]
    assert lexicon.pieces.tolist() == [9]


@pytest.mark.parametrize("size", [15, 70_000])
def test_what_is_saved_is_read_again_and_is_small(lexicon: Lexicon, tmp_path: Path, size: int) -> None:
    saved = Lexicon(lexicon.ends, np.where(lexicon.pieces == 11, size - 1, lexicon.pieces), lexicon.frequent, size)
    saved.save(tmp_path)
    read = Lexicon.load(tmp_path, reads=8, writes=size)
    assert read is not None
    assert read.size == size
    for name in ("ends", "pieces", "frequent"):
        assert getattr(read, name).dtype == np.int64
        assert getattr(read, name).tolist() == getattr(saved, name).tolist()
    numbers = len(saved.ends) + len(saved.pieces) + len(saved.frequent)
    assert (tmp_path / FILE).stat().st_size <= 400 + 4 * numbers
    assert Lexicon.load(tmp_path / "elsewhere", reads=8, writes=size) is None


BROKEN = {
    "no numbers": {"ends": np.array([0.5]), "pieces": np.array([1]), "frequent": np.array([1])},
    "two dimensions": {"ends": np.array([[0]]), "pieces": np.array([1]), "frequent": np.array([1])},
    "something missing": {"ends": np.array([1]), "pieces": np.array([1])},
    "something else": {name: np.array([1]) for name in ("ends", "pieces", "frequent", "others")},
    "other sources": {"ends": np.array([0]), "pieces": np.array([], dtype=np.int64), "frequent": np.array([1])},
    "beyond the pieces": {"ends": np.array([0, 2]), "pieces": np.array([1]), "frequent": np.array([1])},
    "too few": {"ends": np.array([0, 0]), "pieces": np.array([1]), "frequent": np.array([1])},
    "backwards": {"ends": np.array([2, 1]), "pieces": np.array([1]), "frequent": np.array([1])},
    "negative": {"ends": np.array([-1, 1]), "pieces": np.array([1]), "frequent": np.array([1])},
    "unknown pieces": {"ends": np.array([0, 1]), "pieces": np.array([5]), "frequent": np.array([1])},
    "unknown frequent pieces": {"ends": np.array([0, 1]), "pieces": np.array([4]), "frequent": np.array([-1])},
}


@pytest.mark.parametrize("tensors", BROKEN.values(), ids=BROKEN)
def test_a_file_that_does_not_fit_is_refused(tensors: dict[str, np.ndarray], tmp_path: Path) -> None:
    save_file(tensors, tmp_path / FILE)
    with pytest.raises(ModelError, match=r"lexicon\.safetensors: (holds no lists|does not fit)"):
        Lexicon.load(tmp_path, reads=2, writes=5)


@pytest.mark.parametrize("content", [b"", b"\xff" * 99, b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ModelError, match=r"lexicon\.safetensors: (is damaged|holds no lists)"):
        Lexicon.load(tmp_path, reads=2, writes=5)
