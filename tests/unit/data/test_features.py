"""The cache of features: computed once, whole after a kill at any moment, never mixed up."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from regard.data.features import BLOCK, FeatureCache, content_key, settings_key
from regard.errors import DataError

SHAPE = (2, 3)
NAMES = [f"{number:04d}:plain" for number in range(2 * BLOCK + 5)]


def row(name: str) -> npt.NDArray[np.float32]:
    return np.full(SHAPE, float(name.split(":")[0]), dtype=np.float32)


class Computer:
    """Computes rows, and remembers for whom."""

    def __init__(self, *, until: int | None = None) -> None:
        self.asked: list[str] = []
        self.until = until

    def __call__(self, names: Sequence[str]) -> npt.NDArray[np.float32]:
        if self.until is not None and len(self.asked) >= self.until:
            raise KeyboardInterrupt
        self.asked += names
        return np.stack([row(name) for name in names])


def complete(folder: Path, names: Sequence[str] = NAMES, computer: Computer | None = None) -> list[str]:
    """Fill a cache, check every row of it, and say what was computed for that."""
    computer = computer or Computer()
    cache = FeatureCache(folder, "key", SHAPE)
    told: list[int] = []
    cache.complete(names, computer, advance=told.append)
    assert sum(told) == len(names)
    assert np.array_equal(cache.rows(names), np.stack([row(name) for name in names]))
    assert cache.missing(names) == []
    return computer.asked


def files(folder: Path) -> tuple[Path, Path]:
    return folder / "key" / "features.bin", folder / "key" / "index.jsonl"


def test_rows_are_computed_once(tmp_path: Path) -> None:
    assert complete(tmp_path) == NAMES
    assert complete(tmp_path) == []
    assert complete(tmp_path, [*NAMES[::-1], "2000:plain"]) == ["2000:plain"]
    cache = FeatureCache(tmp_path, "key", SHAPE)
    assert len(cache) == len(NAMES) + 1
    assert NAMES[3] in cache
    assert "none" not in cache
    assert cache.rows(NAMES).dtype == np.float16
    assert cache.rows([NAMES[4], NAMES[4]]).shape == (2, *SHAPE)


def test_work_that_was_stopped_goes_on_after_the_last_whole_block(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        complete(tmp_path, computer=Computer(until=2 * BLOCK))
    assert complete(tmp_path) == NAMES[2 * BLOCK :]


@pytest.mark.parametrize("lost", [1, 5, SHAPE[0] * SHAPE[1] * 2, 77])
def test_numbers_that_were_cut_short_are_computed_again(tmp_path: Path, lost: int) -> None:
    complete(tmp_path)
    numbers, _ = files(tmp_path)
    numbers.write_bytes(numbers.read_bytes()[:-lost])
    whole = numbers.stat().st_size // (SHAPE[0] * SHAPE[1] * 2)
    assert complete(tmp_path) == NAMES[whole:]


@pytest.mark.parametrize("lost", [1, 2, 9, 40])
def test_an_index_that_was_cut_short_costs_only_the_rows_it_lost(tmp_path: Path, lost: int) -> None:
    complete(tmp_path)
    _, index = files(tmp_path)
    index.write_bytes(index.read_bytes()[:-lost])
    whole = index.read_text().count("\n") - 1
    assert complete(tmp_path) == NAMES[whole:]
    assert [json.loads(line)[0] for line in index.read_text().splitlines()[1:]] == NAMES


@pytest.mark.parametrize("tail", [b"\0\0\0\0", b'"0099:pl', b"\xff\xfe\n"])
def test_rubbish_at_the_end_of_the_index_is_dropped(tmp_path: Path, tail: bytes) -> None:
    complete(tmp_path)
    with files(tmp_path)[1].open("ab") as file:
        file.write(tail)
    assert complete(tmp_path, [*NAMES, "2000:plain"]) == ["2000:plain"]
    assert complete(tmp_path, [*NAMES, "2000:plain"]) == []


def test_a_row_whose_line_was_never_written_is_overwritten(tmp_path: Path) -> None:
    complete(tmp_path, NAMES[:3])
    with files(tmp_path)[0].open("ab") as file:
        file.write(b"x" * 29)
    assert complete(tmp_path) == NAMES[3:]


def test_caches_of_other_keys_and_shapes_are_kept_apart(tmp_path: Path) -> None:
    complete(tmp_path)
    assert len(FeatureCache(tmp_path, "other", (4,))) == 0
    with pytest.raises(DataError, match="holds something else than this cache; delete that folder"):
        FeatureCache(tmp_path, "key", (3, 2))
    files(tmp_path)[1].write_text("")
    with pytest.raises(DataError, match="holds something else"):
        FeatureCache(tmp_path, "key", SHAPE)


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="features cannot be stored there"):
        FeatureCache(tmp_path / "file", "key", SHAPE)
    complete(tmp_path)
    files(tmp_path)[0].unlink()
    with pytest.raises(DataError, match=r"features cannot be stored there \(No such file"):
        FeatureCache(tmp_path, "key", SHAPE)


def test_writers_that_share_a_cache_do_not_mix_its_rows(tmp_path: Path) -> None:
    # each opens the cache by itself, as processes do
    barrier = threading.Barrier(3)

    def fill(names: Sequence[str]) -> list[str]:
        barrier.wait(20)
        return complete(tmp_path, names)

    with ThreadPoolExecutor(3) as pool:
        computed = list(pool.map(fill, [NAMES, NAMES[::-1], NAMES[::2] + NAMES[1::2]]))
    assert sorted(len(names) for names in computed) == [0, 0, len(NAMES)]
    assert files(tmp_path)[1].read_text().count("\n") == len(NAMES) + 1


def test_a_reader_leaves_a_cache_that_is_being_written_alone(tmp_path: Path) -> None:
    complete(tmp_path)
    index = files(tmp_path)[1]
    unfinished = index.read_bytes()[:-4]
    index.write_bytes(unfinished)
    assert len(FeatureCache(tmp_path, "key", SHAPE)) == len(NAMES) - 1
    assert index.read_bytes() == unfinished


def test_keys_stand_for_contents(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"one")
    second.write_bytes(b"one")
    assert content_key(first) == content_key(second) == "7692c3ad3540bb803c020b3aee66cd88"
    second.write_bytes(b"two")
    assert content_key(first) != content_key(second)
    assert settings_key({"a": 1, "b": 2}) == settings_key({"b": 2, "a": 1}) != settings_key({"a": 2, "b": 2})
    with pytest.raises(DataError, match="cannot be read"):
        content_key(tmp_path / "none")


def test_features_that_the_disk_has_no_room_for_are_refused_before_they_are_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FeatureCache(tmp_path / "own", "key", SHAPE)
    words = "features of 1,000,000 views of photos take 12.0 MB in"
    assert cache.require_room(1_000_000) == f"{words} {tmp_path / 'own' / 'key'}"
    monkeypatch.setenv("REGARD_CACHE", str(tmp_path))
    assert cache.require_room(1_000_000).endswith("own/key (see: regard cache)")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=11_999_999))
    with pytest.raises(DataError, match=r"take 12.0 MB, and 0.0 GB are free; make room, lower data.crops, .* --cache"):
        cache.require_room(1_000_000)
