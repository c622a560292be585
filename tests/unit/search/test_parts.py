"""A batch that is searched in parts by several threads."""

from __future__ import annotations

import threading

import pytest
import torch

from regard.search import SearchOptions, parts, search
from regard.search.parts import LEAST, MOST, cut, side_by_side


@pytest.fixture(autouse=True)
def fused(monkeypatch):
    monkeypatch.setenv("REGARD_REFERENCE", "0")


@pytest.fixture
def threads():
    """Set how many threads PyTorch may use, for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def number_of_a_new_thread() -> int:
    told = []
    asking = threading.Thread(target=lambda: told.append(torch.get_num_threads()))
    asking.start()
    asking.join()
    return told[0]


@pytest.mark.parametrize("batch", [1, 2 * LEAST - 1, 2 * LEAST, 2 * LEAST + 1, 50])
@pytest.mark.parametrize("number", [1, 2, 3, 64])
def test_parts_cover_a_batch_and_are_not_small(threads, batch, number):
    threads(number)
    found = cut(batch, device=torch.device("cpu"))
    assert [i for part in found for i in part] == list(range(batch))
    assert 1 <= len(found) <= min(number, MOST)
    assert len(found) == 1 or min(map(len, found)) >= LEAST
    assert len(found) > 1 or number == 1 or batch < 2 * LEAST


def test_what_is_told_to_one_thread_is_not_cut(threads, monkeypatch):
    threads(2)
    cpu = torch.device("cpu")
    assert len(cut(100, device=cpu)) == 2
    assert len(cut(100, device=torch.device("meta"))) == 1
    with torch.autocast("cpu", torch.bfloat16):
        assert len(cut(100, device=cpu)) == 1
    monkeypatch.setenv("REGARD_REFERENCE", "1")
    assert len(cut(100, device=cpu)) == 1


def test_parts_share_the_threads_and_nobody_else_loses_any(threads):
    threads(4)
    met = threading.Barrier(2)

    def work(part: range) -> tuple[list[int], int, bool]:
        met.wait(timeout=10)
        return list(part), torch.get_num_threads(), torch.is_inference_mode_enabled()

    with torch.inference_mode():
        assert side_by_side(work, [range(3), range(3, 5)]) == [([0, 1, 2], 2, True), ([3, 4], 2, True)]
    assert torch.get_num_threads() == number_of_a_new_thread() == 4


def test_an_error_in_a_part_is_raised(threads):
    threads(2)

    def work(part: range) -> None:
        raise KeyError(part.start)

    with pytest.raises(KeyError, match="0"):
        side_by_side(work, [range(1), range(1, 2)])
    assert torch.get_num_threads() == number_of_a_new_thread() == 2


@pytest.mark.parametrize(
    "values",
    [
        {"beam": 4, "alternatives": 3, "length_normalisation": 0.7},
        {"beam": 4, "groups": 2, "alternatives": 4, "diversity": 0.7},
        {"beam": 3, "no_repeat": 2, "min_length": 2},
        {"samples": 3, "temperature": 0.8},
    ],
)
def test_parts_find_what_one_search_finds(toy, threads, monkeypatch, values):
    monkeypatch.setattr(parts, "LEAST", 4)
    chosen = SearchOptions(max_length=8, **values)
    numbers, prefixes = [7 * i for i in range(13)], [[3] * (i % 3) for i in range(13)]
    seen, found = [], []
    for number in (1, 3):
        threads(number)
        decoder = toy.ToyDecoder(inputs=13, steps=8, vocabulary_size=6, seed=1)
        inputs = toy.inputs_of(list(range(13)))
        found.append(search(decoder, inputs, chosen, tokens=toy.TOKENS, numbers=numbers, prefixes=prefixes))
        seen.append({batch for batch, _ in decoder.rows_seen})
    assert max(seen[0]) == 13
    assert max(seen[1]) < 13
    for one, other in zip(*found, strict=True):
        assert [each.tokens for each in one] == [each.tokens for each in other]
        assert [each.score for each in one] == pytest.approx([each.score for each in other], abs=1e-6)
        assert all(torch.equal(a.weights, b.weights) for a, b in zip(one, other, strict=True))
