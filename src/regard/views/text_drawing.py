"""Text on pictures, in the one scalable font that Pillow carries, so that a sheet looks the same on every machine.

That font knows ASCII and a few signs. Latin letters with marks (ä, é, ç, ñ …) are composed here from their base letter
and drawn marks, ß from three curves; a word of another script is set in a font of the system if one has its letters,
and as hollow boxes otherwise. Everything is drawn four times larger and reduced, which gives smooth marks.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from regard.views.colour import Colour

_OVERSAMPLING = 4
_STROKE = 0.082  # stroke width of the font, in em
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
    "arial.ttf",
    "msgothic.ttc",
)
_SPELLED = str.maketrans({
    "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "▁": "_", "„": ",,", "‚": ",", "œ": "oe", "Œ": "OE", "æ": "ae",
    "Æ": "AE", "×": "x", "ı": "i", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
})  # fmt: skip

_LONGEST = 400  # no line of a picture holds more letters
_UNKNOWN = "\ufffd"  # drawn as a hollow box

# Marks as polylines in em, x from the middle of the letter, y upwards from the height the mark rests on.
_MARKS: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "\u0300": (((-0.09, 0.17), (0.03, 0.07)),),
    "\u0301": (((0.09, 0.17), (-0.03, 0.07)),),
    "\u0302": (((-0.11, 0.06), (0.0, 0.16), (0.11, 0.06)),),
    "\u0303": (((-0.13, 0.08), (-0.07, 0.13), (0.05, 0.08), (0.12, 0.13)),),
    "\u0304": (((-0.11, 0.10), (0.11, 0.10)),),
    "\u0306": (((-0.10, 0.16), (-0.05, 0.09), (0.05, 0.09), (0.10, 0.16)),),
    "\u0307": (((0.0, 0.12), (0.0, 0.12)),),
    "\u0308": (((-0.10, 0.12), (-0.10, 0.12)), ((0.10, 0.12), (0.10, 0.12))),
    "\u030a": (((0.0, 0.06), (0.07, 0.13), (0.0, 0.20), (-0.07, 0.13), (0.0, 0.06)),),
    "\u030b": (((-0.02, 0.17), (-0.10, 0.07)), ((0.14, 0.17), (0.06, 0.07))),
    "\u030c": (((-0.11, 0.16), (0.0, 0.06), (0.11, 0.16)),),
    "\u0327": (((0.01, 0.0), (0.0, -0.05), (0.07, -0.10), (0.02, -0.17), (-0.06, -0.16)),),
    "\u0328": (((0.08, 0.0), (0.02, -0.08), (0.05, -0.16), (0.12, -0.16)),),
}
_BELOW = {"\u0327", "\u0328"}

# ß as cubic curves in em, y upwards from the baseline: stem and arch, then the two bowls.
_SHARP_S = (
    ((0.085, 0.0), (0.085, 0.25), (0.085, 0.35), (0.085, 0.52)),
    ((0.085, 0.52), (0.085, 0.77), (0.43, 0.75), (0.41, 0.54)),
    ((0.41, 0.54), (0.40, 0.43), (0.28, 0.45), (0.28, 0.36)),
    ((0.28, 0.36), (0.28, 0.27), (0.47, 0.28), (0.47, 0.14)),
    ((0.47, 0.14), (0.47, 0.0), (0.32, 0.0), (0.22, 0.05)),
)
_SHARP_S_ADVANCE = 0.55


def text_width(text: str, size: int) -> int:
    """The width of ``text`` in pixels at ``size`` pixels an em."""
    return -(-_length(text, size * _OVERSAMPLING) // _OVERSAMPLING)


def draw_text(image: Image.Image, position: tuple[int, int], text: str, *, size: int, fill: Colour) -> None:
    """Draw one line of ``text`` on an RGB ``image``, its top left corner at ``position``; the line is 1.3 em high."""
    mask = text_mask(text, size)
    image.paste(Image.new("RGB", mask.size, fill), position, mask)


def text_mask(text: str, size: int) -> Image.Image:
    """One line of ``text`` as a grey mask, 1.3 em high; useful for text that is turned."""
    em = size * _OVERSAMPLING
    width, height = max(text_width(text, size), 1), round(1.3 * size)
    canvas = Image.new("L", (width * _OVERSAMPLING, height * _OVERSAMPLING))
    pen, draw = 0.0, ImageDraw.Draw(canvas)
    for run, font in _runs(_spell(text), em):
        for letter in _clusters(run, font, em):
            pen += _draw_cluster(draw, pen, letter, font=font, em=em)
    return canvas.resize((width, height), Image.Resampling.BOX)


def fit(text: str, width: int, size: int) -> str:
    """``text``, or its beginning and an ellipsis where it is wider than ``width`` pixels."""
    if len(text) <= _LONGEST and text_width(text, size) <= width:
        return text
    kept = min(len(text), _LONGEST)
    while kept and text_width(text[:kept].rstrip() + "…", size) > width:
        kept -= 1
    return text[:kept].rstrip() + "…"


def wrap(text: str, width: int, size: int, *, lines: int) -> list[str]:
    """``text`` on at most ``lines`` lines of ``width`` pixels; what does not fit ends in an ellipsis."""
    words, wrapped = text.split(), [""]
    for index, word in enumerate(words):
        longer = f"{wrapped[-1]} {word}".strip()
        if text_width(longer, size) <= width:
            wrapped[-1] = longer
        elif len(wrapped) == lines:
            wrapped[-1] = fit(" ".join([wrapped[-1], *words[index:]])[: _LONGEST + 1].strip(), width, size)
            break
        else:
            wrapped.append(fit(word, width, size))
    return [line for line in wrapped if line]


def _spell(text: str) -> str:
    """Signs that the font lacks, by signs that it has; control characters as place-holders."""
    spelled = unicodedata.normalize("NFC", " ".join(text.split())).translate(_SPELLED)
    return "".join(_UNKNOWN if unicodedata.category(letter) in {"Cc", "Cs", "Cn"} else letter for letter in spelled)


def _runs(text: str, em: int) -> list[tuple[str, ImageFont.FreeTypeFont]]:
    """Stretches of words with the font that sets each.

    A word with a letter of another script is set whole, and neighbours in one font together, so that letters join and
    words that run from right to left keep their order.
    """
    runs: list[tuple[str, ImageFont.FreeTypeFont]] = []
    for word in text.split(" "):
        system = None if all(letter == _UNKNOWN or _composable(letter) for letter in word) else _system_font_name(word)
        font = _font(em) if system is None else _system_font(system, em)
        if runs and runs[-1][1] is font:
            runs[-1] = (f"{runs[-1][0]} {word}", font)
        else:
            # the space between two fonts belongs to the one that runs from left to right
            runs += [(" ", _font(em)), (word, font)] if runs else [(word, font)]
    return runs


def _clusters(run: str, font: ImageFont.FreeTypeFont, em: int) -> list[str]:
    """Pieces that are drawn in one go: the whole run, or around letters that are composed by hand."""
    if font is not _font(em):
        return [run]
    pieces = [""]
    for letter in run:
        if _in_font(letter):
            pieces[-1] += letter
        else:
            pieces += [letter, ""]
    return [piece for piece in pieces if piece]


def _length(text: str, em: int) -> int:
    total = sum(
        _advance(piece, font=font, em=em) for run, font in _runs(_spell(text), em) for piece in _clusters(run, font, em)
    )
    return int(np.ceil(total))


def _advance(piece: str, *, font: ImageFont.FreeTypeFont, em: int) -> float:
    if font is not _font(em) or all(_in_font(letter) for letter in piece):
        return float(font.getlength(piece))
    if piece in {"ß", "ẞ"}:
        return _SHARP_S_ADVANCE * em
    base = unicodedata.normalize("NFD", piece)[0]
    return float(font.getlength(base)) if _composable(piece) else 0.6 * em


def _draw_cluster(draw: ImageDraw.ImageDraw, pen: float, piece: str, *, font: ImageFont.FreeTypeFont, em: int) -> float:
    """Draw one piece with its left edge at ``pen``; returns how far the pen moves."""
    advance, baseline = _advance(piece, font=font, em=em), round(0.98 * em)
    if font is not _font(em) or all(_in_font(letter) for letter in piece):
        draw.text((pen, baseline), piece, fill=255, font=font, anchor="ls")
    elif piece in {"ß", "ẞ"}:
        points = [point for curve in _SHARP_S for point in _bezier(curve)]
        _stroke(draw, points, origin=(pen, baseline), em=em)
    elif _composable(piece):
        _draw_composed(draw, pen, piece, font=font, em=em)
    else:
        top, right = baseline - round(0.68 * em), pen + 0.52 * em
        draw.rectangle((pen + 0.08 * em, top, right, baseline), outline=255, width=max(1, round(0.05 * em)))
    return advance


def _draw_composed(
    draw: ImageDraw.ImageDraw, pen: float, letter: str, *, font: ImageFont.FreeTypeFont, em: int
) -> None:
    base, *marks = list(unicodedata.normalize("NFD", letter))
    baseline = round(0.98 * em)
    above = [mark for mark in marks if mark not in _BELOW]
    if above and base == "i":
        _draw_dotless_i(draw, pen, font=font, em=em)
    else:
        draw.text((pen, baseline), base, fill=255, font=font, anchor="ls")
    # an i without its dot is as high as an x
    _, top, _, _ = font.getbbox("x" if base == "i" else base, anchor="ls")
    left, _, right, _ = font.getbbox(base, anchor="ls")
    middle = pen + (left + right) / 2
    for mark in marks:
        height = baseline if mark in _BELOW else baseline + top
        for line in _MARKS[mark]:
            _stroke(draw, list(line), origin=(middle, height), em=em)


def _draw_dotless_i(draw: ImageDraw.ImageDraw, pen: float, *, font: ImageFont.FreeTypeFont, em: int) -> None:
    height = -font.getbbox("x", anchor="ls")[1]
    left, _, right, _ = font.getbbox("i", anchor="ls")
    middle, baseline = pen + (left + right) / 2, round(0.98 * em)
    half = _STROKE * em / 2
    draw.rectangle((middle - half, baseline - height, middle + half, baseline), fill=255)


def _stroke(
    draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], *, origin: tuple[float, float], em: int
) -> None:
    """A line of the font's own thickness with round ends; a line of no length is a dot."""
    x, y = origin
    placed = [(x + a * em, y - b * em) for a, b in points]
    # a dot has to be a little thicker than a line to look as dark
    width = _STROKE * em * (1.25 if len(set(placed)) == 1 else 0.95)
    draw.line(placed, fill=255, width=max(1, round(width)), joint="curve")
    for a, b in placed if len(placed) < 8 else (placed[0], placed[-1]):
        draw.ellipse((a - width / 2, b - width / 2, a + width / 2, b + width / 2), fill=255)


def _bezier(curve: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    t = np.linspace(0, 1, 17)[:, None]
    a, b, c, d = (np.array(point) for point in curve)
    points = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
    return [(float(x), float(y)) for x, y in points]


def _composable(letter: str) -> bool:
    """Whether the letter can be drawn without a font of the system."""
    base, *marks = list(unicodedata.normalize("NFD", letter))
    return letter in {"ß", "ẞ"} or _in_font(letter) or (_in_font(base) and all(mark in _MARKS for mark in marks))


@lru_cache(4096)
def _in_font(letter: str) -> bool:
    return _has(_font(32), letter)


@lru_cache(4096)
def _system_font_name(word: str) -> str | None:
    """The first font of the system that has every letter of ``word``."""
    for name in _SYSTEM_FONTS:
        try:
            font = _system_font(name, 32)
        except OSError:
            continue
        if all(_has(font, letter) for letter in word):
            return name
    return None


def _has(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    # a letter that a font lacks is drawn as the same box as a code point that no font may have
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))


@cache
def _system_font(name: str, em: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(name, em)


@cache
def _font(em: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=em)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow is built with FreeType"
    return font
