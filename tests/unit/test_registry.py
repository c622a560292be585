"""Entries of a registry are imported when they are asked for, and not before."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from regard.errors import ConfigError
from regard.registry import Registry


def test_an_entry_is_imported_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "registered_shapes.py").write_text("SIDES = 4\n")
    monkeypatch.syspath_prepend(tmp_path)
    shapes: Registry[int] = Registry("shape", {"square": "registered_shapes:SIDES", "circle": "no_such_module:SIDES"})
    assert list(shapes) == ["square", "circle"]
    assert "circle" in shapes
    assert "registered_shapes" not in sys.modules
    assert shapes["square"] == 4
    monkeypatch.delitem(sys.modules, "registered_shapes")


def test_an_unknown_name_comes_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"there is no shape 'sqare'; allowed: square; did you mean 'square'\?"):
        Registry("shape", {"square": "registered_shapes:SIDES"})["sqare"]
