"""The bill of materials names what regard requires and what it ships."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "sbom.py"


@pytest.fixture
def sbom() -> ModuleType:
    pytest.importorskip("packaging")
    spec = importlib.util.spec_from_file_location("sbom", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_bill_names_packages_with_versions_and_licences_and_the_models(sbom: ModuleType) -> None:
    bill = sbom.bill([])
    parts = {each["name"]: each for each in bill["components"]}
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "regard")
    for name in ("torch", "numpy", "pydantic-core"):  # the last only because another requires it
        assert parts[name]["purl"] == f"pkg:pypi/{name}@{parts[name]['version']}"
        assert parts[name]["licenses"][0]["license"]["name"]
    assert "pytest" not in parts
    assert len(parts["models/flickr8k/weights.safetensors"]["hashes"][0]["content"]) == 64
