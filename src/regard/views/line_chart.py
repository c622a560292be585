"""Lines through measured points, as one SVG file that needs nothing else: no script, no font, no program.

Colours are those of Okabe and Ito 2008 ("Color Universal Design"), which people with any colour vision tell apart; each
line has a marker of its own besides, for those who print in black. The background is white, so that a page in the dark
shows the same chart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_INK, _GRID = "#333333", "#e3e3e3"

_WIDTH, _HEIGHT = 420, 270
"""Of the field in which the lines run, in pixels, as everything below."""
_LEFT, _TOP, _BOTTOM = 62, 46, 52
_MOST_TICKS = 6
_LETTER = 7.0
"""An upper bound of the mean width of a letter at the size of the legend."""
_FONT = "font-family='Helvetica, Arial, sans-serif'"


@dataclass(frozen=True)
class Point:
    """One measured value; ``low`` and ``high`` are the ends of its confidence interval where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """Points under one name, in the order in which they are joined."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Axis:
    """The horizontal axis: its title, and the positions that carry a label."""

    title: str
    ticks: Sequence[tuple[float, str]]


def line_chart(lines: Sequence[Line], *, title: str, x: Axis, y_title: str) -> str:
    """A chart of values that are 0 or more; the vertical axis begins at 0, so that heights can be compared.

    Args:
        lines: at least one point in all; those without points stand in the legend alone.
        title: what the chart shows; also read aloud by screen readers, with every value.
        x: the horizontal axis; its ticks span the chart.
        y_title: the vertical axis.
    """
    points = [point for line in lines for point in line.points]
    assert points, "a chart shows something"
    assert all(point.y >= 0 for point in points), "the vertical axis begins at 0"
    ticks = _ticks(max(point.y if point.high is None else point.high for point in points))
    scale = _Scale(min(position for position, _ in x.ticks), max(position for position, _ in x.ticks), ticks[-1])
    width = _LEFT + _WIDTH + 48 + round(_LETTER * max(len(line.name) for line in lines))
    height = _TOP + _HEIGHT + _BOTTOM
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' viewBox='0 0 {width} {height}' "
        f"role='img' aria-labelledby='title values' {_FONT} font-size='12' fill='{_INK}'>",
        f"<title id='title'>{_text(title)}</title>",
        f"<desc id='values'>{_text(_description(lines, x))}</desc>",
        f"<rect width='{width}' height='{height}' fill='white'/>",
        f"<text x='{_LEFT}' y='24' font-size='14' font-weight='bold'>{_text(title)}</text>",
        *_axes(scale, ticks, x, y_title),
        *(part for number, line in enumerate(lines) for part in _draw(line, number, scale)),
        *(part for number, line in enumerate(lines) for part in _legend(line, number)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


@dataclass(frozen=True)
class _Scale:
    """From values to pixels."""

    first: float
    last: float
    top: float

    def x(self, value: float) -> float:
        span = self.last - self.first
        share = (value - self.first) / span if span else 0.5
        # a margin on both sides, so that no marker lies on the frame
        return _LEFT + _WIDTH * (0.05 + 0.9 * share)

    def y(self, value: float) -> float:
        return _TOP + _HEIGHT * (1 - value / self.top)


def _ticks(highest: float) -> list[float]:
    """From 0 in round steps to the first that is not below ``highest``."""
    if highest <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(highest / _MOST_TICKS))
    step = next(round_one * power for round_one in (1, 2, 5, 10, 20) if highest <= round_one * power * _MOST_TICKS)
    return [step * k for k in range(math.ceil(highest / step - 1e-9) + 1)]


def _axes(scale: _Scale, ticks: Sequence[float], x: Axis, y_title: str) -> list[str]:
    bottom, right = _TOP + _HEIGHT, _LEFT + _WIDTH
    parts = []
    for tick in ticks:
        y = scale.y(tick)
        parts.append(f"<line x1='{_LEFT}' x2='{right}' y1='{y:.1f}' y2='{y:.1f}' stroke='{_GRID}'/>")
        parts.append(f"<text x='{_LEFT - 8}' y='{y + 4:.1f}' text-anchor='end'>{tick:g}</text>")
    for position, label in x.ticks:
        at = scale.x(position)
        parts.append(f"<line x1='{at:.1f}' x2='{at:.1f}' y1='{bottom}' y2='{bottom + 5}' stroke='{_INK}'/>")
        parts.append(f"<text x='{at:.1f}' y='{bottom + 19}' text-anchor='middle'>{_text(label)}</text>")
    middle = _TOP + _HEIGHT / 2
    return [
        *parts,
        f"<line x1='{_LEFT}' x2='{right}' y1='{bottom}' y2='{bottom}' stroke='{_INK}'/>",
        f"<text x='{_LEFT + _WIDTH / 2:.1f}' y='{bottom + 42}' text-anchor='middle'>{_text(x.title)}</text>",
        f"<text x='16' y='{middle:.1f}' text-anchor='middle' transform='rotate(-90 16 {middle:.1f})'>"
        f"{_text(y_title)}</text>",
    ]


def _draw(line: Line, number: int, scale: _Scale) -> list[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    parts = []
    for point in line.points:
        if point.low is not None and point.high is not None:
            at, low, high = scale.x(point.x), scale.y(point.low), scale.y(point.high)
            whiskers = "".join(f"M{at - 4:.1f} {end:.1f}H{at + 4:.1f}" for end in (low, high))
            path = f"M{at:.1f} {low:.1f}V{high:.1f}{whiskers}"
            parts.append(f"<path d='{path}' stroke='{colour}' stroke-opacity='0.55' fill='none'/>")
    positions = [(scale.x(point.x), scale.y(point.y)) for point in line.points]
    if len(positions) > 1:
        joined = " ".join(f"{at:.1f},{y:.1f}" for at, y in positions)
        parts.append(f"<polyline points='{joined}' fill='none' stroke='{colour}' stroke-width='2'/>")
    return parts + [_marker(at, y, number) for at, y in positions]


def _legend(line: Line, number: int) -> list[str]:
    left, y = _LEFT + _WIDTH + 14, _TOP + 10 + 22 * number
    colour = _COLOURS[number % len(_COLOURS)]
    return [
        f"<line x1='{left}' x2='{left + 22}' y1='{y}' y2='{y}' stroke='{colour}' stroke-width='2'/>",
        _marker(left + 11, y, number),
        f"<text x='{left + 29}' y='{y + 4}'>{_text(line.name)}</text>",
    ]


def _marker(x: float, y: float, number: int) -> str:
    """A shape around a position; the order of shapes differs from that of colours, so that pairs repeat late."""
    fill = f"fill='{_COLOURS[number % len(_COLOURS)]}'"
    match number % 4:
        case 0:
            return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' {fill}/>"
        case 1:
            return f"<rect x='{x - 4:.1f}' y='{y - 4:.1f}' width='8' height='8' {fill}/>"
        case 2:
            return f"<path d='M{x:.1f} {y - 5:.1f}l5 9h-10z' {fill}/>"
        case _:
            return f"<path d='M{x:.1f} {y - 5.5:.1f}l5.5 5.5l-5.5 5.5l-5.5 -5.5z' {fill}/>"


def _description(lines: Sequence[Line], x: Axis) -> str:
    """All values in words, for those who do not see the chart."""
    labels = dict(x.ticks)
    values = [
        f"{line.name}: " + ", ".join(f"{point.y:.1f} at {labels.get(point.x, f'{point.x:g}')}" for point in line.points)
        for line in lines
    ]
    return "; ".join(values)


def _text(text: str) -> str:
    """Text for an element, without the control characters that XML has no way to write."""
    return escape("".join(sign if sign.isprintable() else " " for sign in text))
