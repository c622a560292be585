"""``regard doctor``: what this machine offers and what is installed."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from typing import Any

from regard.cli.options import AsJson
from regard.cli.report import echo, echo_json, table
from regard.errors import ModelError


def doctor(as_json: AsJson = False) -> None:
    """Show versions, processor, packages, folders and models: what to put into a bug report."""
    findings = {"regard": metadata.version("regard"), **_machine(), "packages": _packages(), "models": _models()}
    if as_json:
        echo_json(findings)
        return
    for line in table(_rows(findings)):
        echo(line)


def _machine() -> dict[str, Any]:
    import torch

    from regard.files import cache_folder

    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": {
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "capability": torch.backends.cpu.get_cpu_capability(),
        },
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cache": str(cache_folder()),
    }


def _packages() -> dict[str, str | None]:
    """The installed version, or None, of every package that regard needs or can use."""
    requirements = metadata.requires("regard") or []
    names = [re.split(r"[^A-Za-z0-9._-]", each)[0] for each in requirements if "extra == 'dev'" not in each]
    return {name: _installed(name) for name in sorted(set(names))}


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _models() -> dict[str, str]:
    """Whether each shipped model loads: ``ready``, or why not."""
    from regard.saved.bundle import SHIPPED, load_bundle, shipped_models

    states = {}
    for name in shipped_models():
        try:
            load_bundle(SHIPPED / name)
            states[name] = "ready"
        except ModelError as error:
            states[name] = str(error)
    return states


def _rows(findings: dict[str, Any], prefix: str = "") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, value in findings.items():
        if isinstance(value, dict):
            rows += _rows(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, "none" if value is None else str(value)))
    return rows
