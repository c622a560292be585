"""Folders of drawn photos, for the readers of all formats."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Draw = Callable[..., Path]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Draw a photo below the test's folder, another one for each name, or of a given colour."""

    def drawn(name: str, *, colour: int | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shade = zlib.crc32(name.encode()) if colour is None else colour
        image = Image.new("RGB", (64, 48), (shade % 256, shade // 256 % 256, shade // 65536 % 256))
        image.save(path, "PNG" if path.suffix == ".png" else "JPEG")
        return path

    return drawn
