"""fast/README.md names every fast path that there is, and every test and benchmark that it names exists."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import regard
from regard.fast import SEARCH, TRAINING

PACKAGE = Path(regard.__file__).parent
ROOT = PACKAGE.parents[1]
PAGE = (PACKAGE / "fast" / "README.md").read_text(encoding="utf-8")
ROWS = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `")]


def test_a_row_has_all_columns() -> None:
    assert len(ROWS) > 25
    for row in ROWS:
        assert len(row) == 6
        assert all(cell.strip() for cell in row), row


@pytest.mark.parametrize("folder", ["fast", "ops"])
def test_every_module_is_named(folder: str) -> None:
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        if path.name != "__init__.py":
            name = str(path.relative_to(PACKAGE)).removeprefix("fast/")
            assert f"`{name}`" in PAGE, name


def test_every_module_that_is_named_is_there() -> None:
    for name in re.findall(r"`((?:training|search|encoders|ops)/[\w/]+\.py)`", PAGE):
        if "test_" not in name:
            assert (PACKAGE / name if name.startswith("ops") else PACKAGE / "fast" / name).exists(), name


@pytest.mark.parametrize("registry", [TRAINING, SEARCH], ids=["training", "search"])
def test_every_twin_has_a_row(registry) -> None:
    paths = " ".join(row[0] for row in ROWS)
    for home in registry:
        module = registry._homes[home].partition(":")[0].removeprefix("regard.fast.").replace(".", "/")
        assert f"`{module}.py`" in paths, home


def test_tests_and_benchmarks_that_are_named_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    sys.modules.pop("paths", None)
    import paths

    for row in ROWS:
        for test in re.findall(r"`([\w/.]+\.py)`", row[5]):
            assert (ROOT / "tests" / "unit" / test).exists(), test
        for name in re.findall(r"`([^`]+)`", row[4]):
            assert name in paths.PATHS or name == "make bench", name
