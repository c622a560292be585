"""``regard models``: the models that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regard.cli.options import AsJson
from regard.cli.report import echo, echo_json, table

SCORES = ("bleu4", "cider", "bleu", "chrf")
"""What a line for people shows, where a model has it; JSON has everything."""


def models(as_json: AsJson = False) -> None:
    """List the models that ship with the package: what they are for, how large, how good and on what data."""
    from regard.saved.bundle import SHIPPED, shipped_models

    found = [_describe(SHIPPED / name) for name in shipped_models()]
    if as_json:
        for each in found:
            echo_json(each)
    else:
        for line in table([_row(each) for each in found]):
            echo(line)


def _describe(folder: Path) -> dict[str, Any]:
    from regard.saved.bundle import read_config, read_metrics

    config = read_config(folder)
    return {
        "name": folder.name,
        "kind": config.kind,
        "languages": config.languages,
        "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "precision": config.precision,
        "metrics": read_metrics(folder),
    }


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    metrics = model["metrics"]
    scores = [f"{name} {metrics[name]:.1f}" for name in SCORES if isinstance(metrics.get(name), int | float)]
    kind = model["kind"] + (f" {'-'.join(model['languages'])}" if model["languages"] else "")
    return (model["name"], kind, f"{model['bytes'] / 1e6:.1f} MB", ", ".join(scores), str(metrics.get("data", "")))
