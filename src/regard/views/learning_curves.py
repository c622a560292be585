"""How a training goes, as one picture: a panel for each number, over the epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from regard.views.colour import Colour
from regard.views.text_drawing import draw_text, text_width

_WHITE, _INK, _SOFT, _PALE = (255, 255, 255), (31, 27, 22), (111, 103, 93), (236, 230, 220)
_LINE, _BEST = (0, 114, 178), (213, 94, 0)
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM, _RIGHT = 440, 240, 74, 58, 46, 28
_TITLE, _SMALL = 20, 15
_MOST_TICKS = 6


@dataclass(frozen=True)
class Curve:
    """A number over the epochs.

    Attributes:
        title: what it is.
        points: epoch and value, by rising epoch; at least one.
        best: the epoch that is marked; None for none.
    """

    title: str
    points: Sequence[tuple[float, float]]
    best: float | None = None


def learning_curves(curves: Sequence[Curve]) -> Image.Image:
    """Panels side by side, RGB, on white; each vertical axis spans the values of its panel."""
    panel = _LEFT + _WIDTH + _RIGHT
    image = Image.new("RGB", (panel * len(curves), _TOP + _HEIGHT + _BOTTOM), _WHITE)
    for number, curve in enumerate(curves):
        _draw_panel(image, panel * number + _LEFT, curve)
    return image


def round_ticks(lowest: float, highest: float) -> list[float]:
    """Round numbers, evenly spaced, from one that is not above ``lowest`` to one that is not below ``highest``."""
    span = highest - lowest
    if span <= 1e-6 * abs(highest):  # one value, as far as a label shows it
        span = abs(highest) or 1.0
    power = 10.0 ** math.floor(math.log10(span / _MOST_TICKS))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if span <= factor * power * (_MOST_TICKS - 1))
    first, last = math.floor(lowest / step + 1e-9), math.ceil(highest / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _draw_panel(image: Image.Image, left: int, curve: Curve) -> None:
    epochs, values = zip(*curve.points, strict=True)
    ticks, canvas = round_ticks(min(values), max(values)), ImageDraw.Draw(image)
    first, last = min(epochs), max(max(epochs), min(epochs) + 1)

    def place(epoch: float, value: float) -> tuple[float, float]:
        x = left + _WIDTH * (0.03 + 0.94 * (epoch - first) / (last - first))
        return x, _TOP + _HEIGHT * (1 - (value - ticks[0]) / (ticks[-1] - ticks[0]))

    draw_text(image, (left, 14), curve.title, size=_TITLE, fill=_INK)
    for tick in ticks:
        height = round(place(first, tick)[1])
        canvas.line([(left, height), (left + _WIDTH, height)], fill=_PALE)
        _draw_right(image, (left - 8, height - 10), f"{tick:g}")
    for epoch in {first, last}:
        label = f"{epoch:g}"
        at = round(place(epoch, ticks[0])[0]) - text_width(label, _SMALL) // 2
        draw_text(image, (at, _TOP + _HEIGHT + 8), label, size=_SMALL, fill=_SOFT)
    draw_text(image, (left + _WIDTH // 2 - 20, _TOP + _HEIGHT + 8), "epoch", size=_SMALL, fill=_SOFT)
    canvas.line([place(*point) for point in curve.points], fill=_LINE, width=3, joint="curve")
    for epoch, value in curve.points:
        _draw_marker(canvas, place(epoch, value), _BEST if epoch == curve.best else _LINE)


def _draw_marker(canvas: ImageDraw.ImageDraw, at: tuple[float, float], colour: Colour) -> None:
    radius = 6 if colour == _BEST else 3
    canvas.ellipse([at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius], fill=colour)


def _draw_right(image: Image.Image, corner: tuple[int, int], text: str) -> None:
    """Text that ends at a place."""
    draw_text(image, (corner[0] - text_width(text, _SMALL), corner[1]), text, size=_SMALL, fill=_SOFT)
