"""A software bill of materials: what regard needs, in the versions installed here, as CycloneDX 1.6 in JSON.

    python tools/sbom.py [EXTRA …] > sbom.json

Components are the packages that regard and the named extras require, and what these require in turn, with their package
URLs and the licences that they name; and the models and lists that are part of regard itself, with their checksums.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import regard

PACKAGE = Path(regard.__file__).parent
SHIPPED = ("models/*/weights.safetensors", "models/*/lexicon.safetensors", "encoders/imagenet_*.txt")


def bill(extras: Iterable[str]) -> dict[str, Any]:
    """The whole bill."""
    root = metadata.metadata("regard")
    packages = sorted(required("regard", frozenset(extras)), key=str.lower)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(root, kind="application")},
        "components": [*(component(metadata.metadata(name)) for name in packages), *shipped()],
    }


def required(name: str, extras: frozenset[str]) -> set[str]:
    """The names of all packages that a package requires, directly or not, and that are installed."""
    found: set[str] = set()
    waiting = [(name, extras)]
    seen = set(waiting)
    while waiting:
        for child in requirements(*waiting.pop()):
            if child not in seen:
                seen.add(child)
                waiting.append(child)
                found.add(child[0])
    return found - {name}


def requirements(name: str, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """What one package requires itself, here, with the extras that it asks for."""
    for line in metadata.requires(name) or []:
        requirement = Requirement(line)
        wanted = [{"extra": extra} for extra in extras or {""}]
        if requirement.marker is None or any(requirement.marker.evaluate(each) for each in wanted):
            try:
                metadata.version(requirement.name)
            except metadata.PackageNotFoundError:
                continue
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def component(about: Any, *, kind: str = "library") -> dict[str, Any]:
    """One package."""
    name, version = canonicalize_name(about["Name"]), about["Version"]
    licence = about.get("License-Expression") or licence_name(about)
    return {
        "type": kind,
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "licenses": [{"license": {"name": licence}}],
    }


def licence_name(about: Any) -> str:
    """The licence as a package names it: its classifiers, or the first line of what it says."""
    classifiers = [each for each in about.get_all("Classifier", []) if each.startswith("License ::")]
    if classifiers:
        return ", ".join(each.rpartition(" :: ")[2] for each in classifiers)
    text = about.get("License") or ""
    return text.splitlines()[0] if text and text != "UNKNOWN" else "not named"


def shipped() -> Iterator[dict[str, Any]]:
    """Data that are part of regard; NOTICE says where they come from."""
    for pattern in SHIPPED:
        for path in sorted(PACKAGE.glob(pattern)):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            yield {
                "type": "machine-learning-model" if path.suffix == ".safetensors" else "data",
                "name": path.relative_to(PACKAGE).as_posix(),
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }


if __name__ == "__main__":
    json.dump(bill(sys.argv[1:]), sys.stdout, indent=1)
    sys.stdout.write("\n")
