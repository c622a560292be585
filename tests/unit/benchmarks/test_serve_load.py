"""The figures of the load benchmark, from made-up loads."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).parents[3] / "benchmarks" / "serve_load.py"


@pytest.fixture(scope="module")
def serve_load() -> ModuleType:
    import sys

    spec = importlib.util.spec_from_file_location("serve_load", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["serve_load"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_percentiles_and_rates_count_what_was_answered(serve_load: ModuleType) -> None:
    outcome = serve_load.Outcome(
        [each / 1000 for each in range(100, 0, -1)], serve_load.Counter({200: 100, 429: 25}), 20
    )
    assert [outcome.percentile(share) for share in (0.5, 0.95, 0.99)] == pytest.approx([51, 96, 100])
    assert serve_load.row("a", "b", outcome) == "| a | b | 5.0 | 51 | 96 | 100 | 20% |"


def test_conclusions_compare_with_what_is_aimed_at(serve_load: ModuleType) -> None:
    def load(count: int, seconds: float) -> object:
        return serve_load.Outcome([seconds] * count, elapsed=10)

    outcomes = {("regard serve", "capacity"): load(90, 0.1), ("LitServe", "capacity"): load(45, 0.1)}
    outcomes |= {("regard serve", "100%"): load(90, 0.2), ("regard serve", "400%"): load(90, 0.3)}
    first, second, third = serve_load.conclusions(outcomes, 10.0)
    assert "1.50 (aim: at most 2)" in first
    assert "90% (aim" in second
    assert "2.00 (aim: 1.5)" in third
    del outcomes["LitServe", "capacity"]
    assert [*serve_load.conclusions(outcomes, 10.0)][2] == "- LitServe was not measured."
