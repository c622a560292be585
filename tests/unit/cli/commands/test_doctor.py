"""``regard doctor`` reports what is really installed."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path

import pytest
import torch

from regard.cli import main


def test_the_report_agrees_with_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["regard"] == metadata.version("regard")
    assert report["processor"]["threads"] == torch.get_num_threads()
    assert report["packages"]["torch"] == torch.__version__
    assert "pytest" not in report["packages"]


def test_a_missing_package_is_said_to_be_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = metadata.version

    def version(package: str) -> str:
        if package == "scikit-image":
            raise metadata.PackageNotFoundError(package)
        return installed(package)

    monkeypatch.setattr(metadata, "version", version)
    assert main(["doctor"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["packages.scikit-image"] == "none"
    assert lines["packages.torch"] == torch.__version__


def test_a_damaged_model_is_told_apart(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(shipped, tmp_path / "models")
    (tmp_path / "models" / "speaker" / "weights.safetensors").write_bytes(b"\0")
    monkeypatch.setattr("regard.saved.bundle.SHIPPED", tmp_path / "models")
    assert main(["doctor", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    assert models["looker"] == "ready"
    assert "weights.safetensors" in models["speaker"]
