from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from regard.ops.cpu.compiled import NotCompiled, compiled_ops


@pytest.fixture(autouse=True)
def fused(monkeypatch):
    """These tests are about the fused paths, also where the whole suite runs on the plain ones."""
    monkeypatch.setenv("REGARD_REFERENCE", "0")


@pytest.fixture(params=["by PyTorch", "by compiled loops"])
def arithmetic(request: pytest.FixtureRequest) -> Iterator[None]:
    """Once as it is everywhere, and once with loops compiled for this processor."""
    if request.param == "by PyTorch":
        yield
        return
    try:
        context = compiled_ops(torch.float32, torch.float64)
        context.__enter__()
    except NotCompiled as error:
        pytest.skip(f"nothing can be compiled here: {error}")
    yield
    context.__exit__(None, None, None)
