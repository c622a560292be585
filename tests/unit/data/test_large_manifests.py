"""Manifests are read row by row: twice the rows take no more memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from regard.data.lines import iterate_lines
from regard.data.readers import find_format


def write_manifest(path: Path, rows: int) -> Path:
    """Captions of images that are not there, as CSV, JSON lines or plain lines."""
    with path.open("w", encoding="utf-8") as file:
        file.write("image,caption\n" if path.suffix == ".csv" else "")
        for number in range(rows):
            name, caption = f"{number:07}.jpg", f"a dog of number {number} runs, and a cat sleeps"
            if path.suffix == ".csv":
                file.write(f'{name},"{caption}"\n')
            elif path.suffix == ".jsonl":
                file.write(f'{{"image": "{name}", "captions": ["{caption}"]}}\n')
            else:
                file.write(f"{caption}\n")
    return path


def peak_of_reading(path: Path) -> tuple[int, int]:
    """How many rows there are, and the most memory that Python held while they were read, in bytes."""
    tracemalloc.start()
    try:
        count = sum(1 for _ in rows_of(path))
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def rows_of(path: Path) -> Iterator[object]:
    if path.suffix == ".txt":
        return iterate_lines(path)
    found = find_format(path)
    assert found is not None
    return found.rows(path)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt"])
def test_twice_the_rows_take_no_more_memory(suffix: str, tmp_path: Path) -> None:
    peaks = {}
    for rows in (2_000, 4_000, 8_000):
        count, peaks[rows] = peak_of_reading(write_manifest(tmp_path / f"{rows}{suffix}", rows))
        assert count == rows
    # what is built once, such as a compiled pattern, may fall into the first reading
    assert peaks[8_000] < peaks[4_000] + 20_000
