"""Made-up results: grids in every resize mode, Gaussian looks, a caption, a translation, both."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from regard.annotations import Regions
from regard.results import Alternative, Caption, SourceWord, TargetWord, TranslatedCaption, Translation, Word

Grid = Callable[..., Regions]
Look = Callable[..., NDArray[np.float32]]
MakeCaption = Callable[..., Caption]
MakeTranslation = Callable[..., Translation]


def _grid(width: int, height: int, rows: int = 7, columns: int = 7, mode: str = "squash") -> Regions:
    """A grid over the whole photo, its centred square, or the square around it."""
    side = {"crop": min(width, height), "letterbox": max(width, height)}.get(mode)
    across, down = (width, height) if side is None else (side, side)
    left, top = (width - across) / 2, (height - down) / 2
    xs, ys = np.linspace(left, left + across, columns + 1), np.linspace(top, top + down, rows + 1)
    rectangles = tuple(
        (float(xs[c]), float(ys[r]), float(xs[c + 1]), float(ys[r + 1])) for r in range(rows) for c in range(columns)
    )
    return Regions(rows, columns, rectangles, width, height)


def _look(regions: Regions, row: float, column: float, *, sigma: float = 0.8) -> NDArray[np.float32]:
    """A Gaussian around one cell, in cells."""
    rows, columns = np.mgrid[: regions.rows, : regions.columns]
    weights = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))
    return (weights / weights.sum()).astype(np.float32)


def _words(text: str) -> list[tuple[str, tuple[int, int]]]:
    return [(match.group(), match.span()) for match in re.finditer(r"\w+|[^\w\s]", text)]


def _caption(
    text: str = "A dog runs on the beach.",
    *,
    path: str = "beach.jpg",
    size: tuple[int, int] = (90, 60),
    mode: str = "squash",
) -> Caption:
    regions = _grid(*size, mode=mode)
    words = tuple(
        Word(word.lower(), 0.9 / (1 + i), _look(regions, i % 7, (2 * i) % 7))
        for i, (word, _) in enumerate(_words(text))
    )
    photo = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    alternatives = (Alternative("a dog on a beach", -1.25), Alternative("dogs run", -2.5))
    return Caption(path, text, -0.75, words, alternatives, True, photo, regions)


def _translation(source: str = "A dog runs on the beach.", text: str = "Ein Hund läuft am Strand.") -> Translation:
    sources = tuple(SourceWord(word, span) for word, span in _words(source))
    targets = tuple(TargetWord(word, 0.5) for word, _ in _words(text))
    alignment = np.random.default_rng(1).dirichlet(np.full(len(sources), 0.3), size=len(targets)).astype(np.float32)
    return Translation(source, text, -1.5, sources, targets, alignment, (Alternative("Hund am Strand", -2.0),), True)


@pytest.fixture
def grid() -> Grid:
    return _grid


@pytest.fixture
def look() -> Look:
    return _look


@pytest.fixture
def make_caption() -> MakeCaption:
    return _caption


@pytest.fixture
def make_translation() -> MakeTranslation:
    return _translation


@pytest.fixture
def caption() -> Caption:
    return _caption()


@pytest.fixture
def translation() -> Translation:
    return _translation()


@pytest.fixture
def translated() -> TranslatedCaption:
    return TranslatedCaption(_caption(), _translation())
