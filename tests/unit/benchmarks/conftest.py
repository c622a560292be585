"""The benchmarks are programs, not a package: their folder is put on the path. The machine is measured in no time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))


@pytest.fixture(autouse=True)
def _small_products(monkeypatch: pytest.MonkeyPatch) -> None:
    import measure

    monkeypatch.setitem(measure.PRODUCT_SIZES, "cpu", 32)


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine without the data."""
    monkeypatch.setenv("REGARD_DATA", str(tmp_path / "nowhere"))


@pytest.fixture
def no_peers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine where the peers were not installed."""
    monkeypatch.setenv("REGARD_PEERS", str(tmp_path / "nowhere"))
