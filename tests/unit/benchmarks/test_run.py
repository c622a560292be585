"""The run: a benchmark that fails, takes too long or has no time left leaves rows that say so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import run
from rows import Conditions

ONCE = Conditions(threads=1, repetitions=1, quick=True)


def reasons(name: str, *, seconds: float) -> set[str]:
    return {row.missing for row in run.run_apart(name, ONCE, seconds=seconds).rows}


def test_no_time_left() -> None:
    assert reasons("translate", seconds=0) == {"the time of this run was over"}


def test_too_slow() -> None:
    assert reasons("train-49", seconds=0.01) == {"it took more than 0 seconds"}


def test_every_benchmark_names_the_rows_that_it_would_leave_empty() -> None:
    titles = [(work, peer) for each in run.BENCHMARKS.values() for work, peers in each.works.items() for peer in peers]
    assert len(titles) == len(set(titles)) >= 15
    assert all("{}" not in work for work, _ in titles)


def test_a_run_prints_its_table_and_writes_its_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    page = tmp_path / "page.md"
    monkeypatch.setattr(sys, "argv", ["run.py", "--only", "gpu", "--quick", "--threads", "1", "--output", str(page)])
    run.main()
    printed = capsys.readouterr().out
    assert printed.count("not measured: no GPU here") == 3
    written = page.read_text(encoding="utf-8")
    assert printed.strip() in written
    assert "`python benchmarks/run.py --only gpu --quick" in written
