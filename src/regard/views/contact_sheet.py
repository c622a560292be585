"""A PNG sheet: the photo beside one overlay a word, each with how sure the word was.

The tiles wrap into as many columns as make the sheet nearest to a pleasant proportion, whatever the photo's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from regard.faithfulness import FRACTIONS, Faithfulness
from regard.results import Caption, Photo, TranslatedCaption, Word
from regard.views.colour import ramp
from regard.views.heat_map import mark, overlay, shrink
from regard.views.region_names import percent
from regard.views.text_drawing import draw_text, fit, text_width, wrap
from regard.views.view_model import alignment_note

if TYPE_CHECKING:
    from regard.annotations import Regions

_GROUND, _INK, _SOFT = (250, 248, 244), (31, 27, 22), (111, 103, 93)
_CURVE, _CURVE_HEIGHT = (196, 84, 32), 28
_MARGIN, _GAP, _LABEL = 40, 20, 40
_TILE = 300  # longest side of a tile's photo
_LEAST_WIDTH = 170  # room for the label below a narrow photo
_PROPORTION = 1.6
_TITLE, _SMALL = 34, 19


@dataclass(frozen=True)
class _Layout:
    columns: int
    rows: int
    width: int
    height: int
    label: int


def contact_sheet(caption: Caption) -> Image.Image:
    """The caption as a picture, RGB."""
    title = caption.text if caption.is_sure else f"{caption.text} (not sure)"
    lines = [(title, _TITLE, _INK), (caption.path, _SMALL, _SOFT)]
    return _draw(lines, caption.words, caption.photo, caption.regions)


def translated_contact_sheet(result: TranslatedCaption) -> Image.Image:
    """The translated caption as a picture, RGB: the photo beside one overlay a translated word."""
    caption = result.caption
    lines = [(result.text, _TITLE, _INK), (caption.text, _SMALL + 3, _SOFT), (caption.path, _SMALL, _SOFT)]
    lines.append((alignment_note(result.translation), _SMALL, _SOFT))
    return _draw(lines, result.words, caption.photo, caption.regions)


def _draw(
    lines: Sequence[tuple[str, int, tuple[int, int, int]]], words: Sequence[Word], photo: Photo, regions: Regions
) -> Image.Image:
    tile = shrink(photo, _TILE)
    curves = any(word.faithfulness is not None for word in words)
    layout = _layout(len(words) + 1, tile, label=_LABEL + (_CURVE_HEIGHT if curves else 0))
    inner = layout.columns * (layout.width + _GAP) - _GAP
    wrapped = [(line, size, ink) for text, size, ink in lines for line in wrap(text, inner, size, lines=4)]
    top = _MARGIN + sum(round(size * 1.35) for _, size, _ in wrapped) + _GAP
    grid = layout.rows * (layout.height + layout.label + _GAP) - _GAP
    image = Image.new("RGB", (inner + 2 * _MARGIN, top + grid + _MARGIN), _GROUND)
    line_top = _MARGIN - 8
    for line, size, ink in wrapped:
        draw_text(image, (_MARGIN, line_top), line, size=size, fill=ink)
        line_top += round(size * 1.35)
    for index, word in enumerate([None, *words]):
        row, column = divmod(index, layout.columns)
        corner = (_MARGIN + column * (layout.width + _GAP), top + row * (layout.height + layout.label + _GAP))
        _draw_tile(image, corner, tile if word is None else _overlay(tile, word, regions), layout)
        if word is None:
            _draw_legend(image, corner, layout)
        else:
            _draw_label(image, corner, word, layout)
    return image


def _layout(count: int, tile: Photo, *, label: int) -> _Layout:
    height, width = tile.shape[:2]
    width = max(width, _LEAST_WIDTH)

    def distance(columns: int) -> float:
        rows = -(-count // columns)
        shape = (columns * (width + _GAP)) / (rows * (height + label + _GAP) + 3 * _TITLE)
        empty = (rows * columns - count) / count
        return abs(float(np.log(shape / _PROPORTION))) + 1.5 * empty

    columns = min(range(min(2, count), count + 1), key=distance)
    return _Layout(columns, -(-count // columns), width, height, label)


def _overlay(tile: Photo, word: Word, regions: Regions) -> Photo:
    """The photo under the word's heat map, with a ring where the word points."""
    heat = overlay(tile, word.weights, regions)
    return heat if word.point is None else mark(heat, word.point)


def _draw_tile(image: Image.Image, corner: tuple[int, int], tile: Photo, layout: _Layout) -> None:
    left = corner[0] + (layout.width - tile.shape[1]) // 2
    image.paste(Image.fromarray(tile), (left, corner[1]))


def _draw_label(image: Image.Image, corner: tuple[int, int], word: Word, layout: _Layout) -> None:
    sure = percent(word.probability)
    left, top = corner[0], corner[1] + layout.height + 6
    sure_width = text_width(sure, _SMALL - 2)
    text = fit(word.text, layout.width - sure_width - 12, _SMALL + 3)
    doubtful = word.faithfulness is not None and not word.faithfulness.supported
    draw_text(image, (left, top), text, size=_SMALL + 3, fill=_SOFT if doubtful else _INK)
    if word.faithfulness is not None:
        _draw_curve(image, (left, top + _SMALL + 14), word.faithfulness, layout, ink=_SOFT if doubtful else _CURVE)
    draw_text(image, (left + layout.width - sure_width, top + 4), sure, size=_SMALL - 2, fill=_SOFT)


def _draw_curve(
    image: Image.Image, corner: tuple[int, int], measured: Faithfulness, layout: _Layout, *, ink: tuple[int, int, int]
) -> None:
    """Under the label: the probability of a word as what it looked at is taken away."""
    left, top = corner
    points = [
        (left + share * (layout.width - 1), top + (1 - probability) * _CURVE_HEIGHT)
        for share, probability in zip((0.0, *FRACTIONS, 1.0), measured.probabilities(), strict=True)
    ]
    ImageDraw.Draw(image).line(points, fill=ink, width=2)


def _draw_legend(image: Image.Image, corner: tuple[int, int], layout: _Layout) -> None:
    """Under the plain photo: what the colours mean."""
    left, top, size = corner[0], corner[1] + layout.height + 10, _SMALL - 4
    low, high = "away", "looked here"
    bar_left = left + text_width(low, size) + 8
    bar_width = layout.width - text_width(low, size) - text_width(high, size) - 16
    if bar_width < 20:
        return
    colours = ramp("ember")[np.linspace(0, 255, bar_width).astype(np.intp)]
    draw_text(image, (left, top), low, size=size, fill=_SOFT)
    image.paste(Image.fromarray(np.repeat(colours[None], 8, axis=0)), (bar_left, top + 7))
    draw_text(image, (bar_left + bar_width + 8, top), high, size=size, fill=_SOFT)
