from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def fused(monkeypatch):
    """These tests are about the fused paths, also where the whole suite runs on the plain ones."""
    monkeypatch.setenv("REGARD_REFERENCE", "0")
