"""What ``regard`` offers at the top is a promise: short, sorted, and all of it there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import regard

ROOT = Path(__file__).parents[2]


def test_the_public_list_is_sorted_and_short() -> None:
    assert regard.__all__ == sorted(set(regard.__all__))
    assert len(regard.__all__) <= 30


@pytest.mark.parametrize("name", regard.__all__)
def test_every_public_name_resolves_to_what_is_called_so(name: str) -> None:
    assert getattr(regard, name).__name__ == name


def test_dir_shows_the_public_list() -> None:
    assert {each for each in dir(regard) if not each.startswith("_")} == set(regard.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=re.escape("module 'regard' has no attribute 'lode'")):
        _ = regard.lode


def test_the_version_has_one_source() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert regard.__version__ == project["version"]


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(regard.__file__).parent / "py.typed").exists()
