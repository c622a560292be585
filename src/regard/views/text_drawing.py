"""Text on pictures, in the font that ships with the package, so that a sheet looks the same on every machine.

The font covers Latin, Greek, Cyrillic and Hangul (``assets/RegardSans.ttf``; ``tools/drawing_font.py`` makes it). A
word with a letter of another script is set in a font of the system that has all of its letters, or in boxes.
Text is drawn four times larger and reduced, so that letters stand where they belong and not at the nearest pixel.
"""

from __future__ import annotations

import math
import unicodedata
from functools import cache, lru_cache
from importlib.resources import as_file, files

from PIL import Image, ImageDraw, ImageFont

from regard.views.colour import Colour

_OVERSAMPLING = 4
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
    "arial.ttf",
    "msgothic.ttc",
)
_LINE_HEIGHT, _BASELINE = 1.3, 1.0
"""Of a line of text, in em; the baseline from the top."""
_LONGEST = 400  # no line of a picture holds more letters
_UNKNOWN = "\ufffd"  # the replacement character


def text_width(text: str, size: int) -> int:
    """The width of ``text`` in pixels at ``size`` pixels an em."""
    length = sum(font.getlength(run) for run, font in _runs(_clean(text), size * _OVERSAMPLING))
    return math.ceil(length / _OVERSAMPLING)


def draw_text(image: Image.Image, position: tuple[int, int], text: str, *, size: int, fill: Colour) -> None:
    """Draw one line of ``text`` on an RGB ``image``, its top left corner at ``position``; the line is 1.3 em high."""
    mask = text_mask(text, size)
    image.paste(Image.new("RGB", mask.size, fill), position, mask)


def text_mask(text: str, size: int) -> Image.Image:
    """One line of ``text`` as a grey mask, 1.3 em high; useful for text that is turned."""
    em = size * _OVERSAMPLING
    width, height = max(text_width(text, size), 1), round(_LINE_HEIGHT * size)
    canvas = Image.new("L", (width * _OVERSAMPLING, height * _OVERSAMPLING))
    draw, left = ImageDraw.Draw(canvas), 0.0
    for run, font in _runs(_clean(text), em):
        draw.text((left, round(_BASELINE * em)), run, fill=255, font=font, anchor="ls")
        left += font.getlength(run)
    return canvas.resize((width, height), Image.Resampling.BOX)


def fit(text: str, width: int, size: int) -> str:
    """``text``, or its beginning and an ellipsis where it is wider than ``width`` pixels."""
    if len(text) <= _LONGEST and text_width(text, size) <= width:
        return text
    length = min(len(text), _LONGEST)
    while length and text_width(text[:length].rstrip() + "…", size) > width:
        length -= 1
    return text[:length].rstrip() + "…"


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


def _clean(text: str) -> str:
    """Composed letters, single spaces, and the replacement character for what no font has."""
    composed = unicodedata.normalize("NFC", " ".join(text.split()))
    return "".join(_UNKNOWN if unicodedata.category(sign) in {"Cc", "Cs", "Cn"} else sign for sign in composed)


def _runs(text: str, size: int) -> list[tuple[str, ImageFont.FreeTypeFont]]:
    """Stretches of words with the font that sets each.

    A word with a letter of another script is set whole, and neighbours in one font together, so that letters join and
    words that run from right to left keep their order.
    """
    runs: list[tuple[str, ImageFont.FreeTypeFont]] = []
    for word in text.split(" "):
        system = None if all(sign == _UNKNOWN or _is_covered(sign) for sign in word) else _system_font_name(word)
        font = _font(size) if system is None else _system_font(system, size)
        if runs and runs[-1][1] is font:
            runs[-1] = (f"{runs[-1][0]} {word}", font)
        else:
            # the space between two fonts belongs to the one that runs from left to right
            runs += [(" ", _font(size)), (word, font)] if runs else [(word, font)]
    return runs


@lru_cache(4096)
def _is_covered(letter: str) -> bool:
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
def _system_font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(name, size)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # the basic layout, which every build of Pillow has: the same pixels everywhere
    with as_file(files("regard.views") / "assets" / "RegardSans.ttf") as path:
        return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
