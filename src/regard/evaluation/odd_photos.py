"""Pictures of which no caption can be right: noise, textures, text, drawings and screens, drawn by a seed.

A captioner writes something of them all the same; a confidence that is worth its name is low for them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 256
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def odd_photo(number: int) -> Image.Image:
    """One of them, RGB; the kinds follow one another."""
    random = np.random.default_rng([7, number])
    return _KINDS[number % len(_KINDS)](random)


def _noise(random: np.random.Generator) -> Image.Image:
    coarse = int(random.integers(4, SIDE))
    pixels = random.integers(0, 256, (coarse, coarse, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _gradient(random: np.random.Generator) -> Image.Image:
    corners = random.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def _texture(random: np.random.Generator) -> Image.Image:
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = sum(np.sin(2 * np.pi * (a * x + b * y) + c) for a, b, c in random.uniform(-20, 20, (3, 3)))
    grey = ((waves + 3) / 6 * 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _text(random: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(page)
    for line in range(12, SIDE - 12, 14):
        words = ("".join(random.choice(list(_LETTERS), random.integers(2, 9))) for _ in range(7))
        draw.text((12, line), " ".join(words)[: int(random.integers(10, 40))], fill="black")
    return page


def _drawing(random: np.random.Generator) -> Image.Image:
    sheet = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(sheet)
    for left, top, width, height in random.integers(8, SIDE // 2, (int(random.integers(3, 9)), 4)):
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        box = (int(left), int(top), int(left + width), int(top + height))
        shape(box, outline="black", width=2, fill=_colour(random) if random.random() < 0.3 else None)
    return sheet


def _screen(random: np.random.Generator) -> Image.Image:
    screen = Image.new("RGB", (SIDE, SIDE), _colour(random))
    draw = ImageDraw.Draw(screen)
    for left, top in random.integers(0, SIDE // 2, (3, 2)):
        box = (int(left), int(top), int(left) + 120, int(top) + 90)
        draw.rectangle(box, fill=(245, 245, 245), outline=(90, 90, 90))
        draw.rectangle((*box[:2], box[2], box[1] + 12), fill=(200, 205, 215))
        for line in range(box[1] + 20, box[3] - 8, 10):
            draw.line((box[0] + 6, line, box[0] + int(random.integers(30, 112)), line), fill=(120, 120, 120), width=2)
    return screen


def _blur(random: np.random.Generator) -> Image.Image:
    return _noise(random).filter(ImageFilter.GaussianBlur(float(random.uniform(4, 30))))


def _colour(random: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = random.integers(0, 256, 3).tolist()
    return red, green, blue


_KINDS: tuple[Callable[[np.random.Generator], Image.Image], ...] = (
    _noise,
    _text,
    _drawing,
    _texture,
    _screen,
    _gradient,
    _blur,
)
