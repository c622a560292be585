"""An alignment as a picture: translated words down, source words across, the weight as the darkness of each cell."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from regard.results import Translation
from regard.views.colour import Colour, colour_at
from regard.views.text_drawing import draw_text, fit, text_mask, text_width, wrap
from regard.views.view_model import alignment_note

_WHITE, _INK, _SOFT, _PALE = (255, 255, 255), (31, 27, 22), (111, 103, 93), (236, 230, 220)
_MARGIN = 36
_MOST_WORDS = 100
"""Longer sentences are drawn up to this word, and the picture says so: a cell of a few pixels tells nothing."""
_TITLE, _SMALL, _LONGEST_LABEL = 26, 18, 240


def alignment_matrix(translation: Translation) -> Image.Image:
    """The alignment as a picture, RGB, on white."""
    sources = [word.text for word in translation.source_words[:_MOST_WORDS]]
    targets = [word.text for word in translation.words[:_MOST_WORDS]]
    weights = np.asarray(translation.alignment, dtype=np.float64)[:_MOST_WORDS, :_MOST_WORDS]
    cell = 52 if max(len(sources), len(targets), 1) <= 25 else 34
    size = 20 if cell == 52 else 16
    left = _MARGIN + max([text_width(fit(word, _LONGEST_LABEL, size), size) for word in targets], default=0) + 14
    above = max([text_width(fit(word, _LONGEST_LABEL, size), size) for word in sources], default=0) + 14
    width = max(left + cell * len(sources) + _MARGIN, 480)
    head = _head(translation, width - 2 * _MARGIN)
    top = _MARGIN + sum(round(each * 1.4) for _, each, _ in head) + 12 + above
    image = Image.new("RGB", (width, top + cell * len(targets) + _MARGIN), _WHITE)
    line_top = _MARGIN - 8
    for line, each, ink in head:
        draw_text(image, (_MARGIN, line_top), line, size=each, fill=ink)
        line_top += round(each * 1.4)
    for column, word in enumerate(sources):
        _draw_turned(image, (left + column * cell, top - 10), word, cell=cell, size=size)
    for row, word in enumerate(targets):
        label = fit(word, _LONGEST_LABEL, size)
        corner = (left - 12 - text_width(label, size), top + row * cell + (cell - round(1.3 * size)) // 2)
        draw_text(image, corner, label, size=size, fill=_INK)
    for row, column in np.ndindex(*weights.shape):
        _draw_cell(image, (left + column * cell, top + row * cell), float(weights[row, column]), cell=cell)
    return image


def _head(translation: Translation, width: int) -> list[tuple[str, int, Colour]]:
    """Lines above the matrix: text, size, colour."""
    lines: list[tuple[str, int, Colour]] = []
    lines += [(line, _TITLE, _INK) for line in wrap(translation.text, width, _TITLE, lines=3)]
    lines += [(line, _SMALL, _SOFT) for line in wrap(translation.source, width, _SMALL, lines=3)]
    longest = max(translation.alignment.shape)
    notes = [f"The first {_MOST_WORDS} of {longest} words are drawn."] if longest > _MOST_WORDS else []
    notes.append(alignment_note(translation))
    lines += [(line, _SMALL, _SOFT) for note in notes for line in wrap(note, width, _SMALL, lines=2)]
    return lines


def _draw_turned(image: Image.Image, foot: tuple[int, int], word: str, *, cell: int, size: int) -> None:
    """A column's word, read upwards, its end at the foot."""
    mask = text_mask(fit(word, _LONGEST_LABEL, size), size).transpose(Image.Transpose.ROTATE_90)
    corner = (foot[0] + (cell - mask.width) // 2, foot[1] - mask.height)
    image.paste(Image.new("RGB", mask.size, _INK), corner, mask)


def _draw_cell(image: Image.Image, corner: tuple[int, int], weight: float, *, cell: int) -> None:
    left, top = corner
    box = (left + 1, top + 1, left + cell - 2, top + cell - 2)
    ImageDraw.Draw(image).rounded_rectangle(box, radius=5, fill=colour_at("paper", 0.85 * weight), outline=_PALE)
    if weight < 0.05 or cell < 50:
        return
    text, size = f"{weight * 100:.0f}", 15
    ink = _WHITE if weight > 0.5 else _INK
    at = (left + (cell - text_width(text, size)) // 2, top + (cell - round(1.3 * size)) // 2)
    draw_text(image, at, text, size=size, fill=ink)
