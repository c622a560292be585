"""Odd pictures: every kind of file and of pixels, with and without transparency and rotation; then damaged ones."""

from __future__ import annotations

import io
import os
import random

import numpy as np
from outcome import Outcomes, run_apart
from PIL import Image

import regard
from regard.data.images import load_image

KINDS = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("P", "L"),
    "BMP": ("RGB", "L", "P", "1"),
}
SIZES = ((1, 1), (1, 300), (300, 1), (3, 5), (64, 48), (500, 375), (2000, 30), (1300, 900), (9000, 4000))


def attack_pictures(count: int, chance: random.Random, outcomes: Outcomes) -> None:
    """``count`` files, three in four of them damaged."""
    captioner = regard.load("flickr8k")
    captioner.caption(Image.new("RGB", (60, 60)))  # what is loaded at first is loaded before the fork
    for number in range(count):
        kind, content, what = _picture(chance)
        if chance.random() < 0.75:
            content = _damaged(content, chance)
            what += " damaged"

        def describe(content: bytes = content, full: bool = number % 4 == 0) -> None:
            captioner._engine._process = os.getpid()  # a fork that computes with one thread, as this one does, may
            if full:
                captioner.caption(io.BytesIO(content))
            else:
                load_image(io.BytesIO(content), hint=600)

        run_apart(describe, f"{number} {kind} {what}", outcomes)


def _picture(chance: random.Random) -> tuple[str, bytes, str]:
    kind = chance.choice([*KINDS])
    mode = chance.choice(KINDS[kind])
    width, height = chance.choice(SIZES)
    if kind == "WEBP" and max(width, height) > 4000:
        width, height = 1000, 700
    rng = np.random.default_rng(chance.randrange(2**32))
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 2**16, (height, width), np.uint16))
    else:
        coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 4), np.uint8), mode="RGBA").resize((width, height))
        image = coarse.convert("RGB").quantize(250) if mode == "P" else coarse.convert(mode)
    options: dict[str, object] = {}
    if mode in ("P", "L", "RGB") and kind in ("PNG", "GIF") and chance.random() < 0.5:
        options["transparency"] = (1, 2, 3) if mode == "RGB" else 3
    if kind == "JPEG":
        options |= {"progressive": chance.random() < 0.5, "quality": chance.randint(1, 100)}
    if kind in ("JPEG", "PNG", "WEBP") and chance.random() < 0.5:
        exif = Image.Exif()
        exif[0x0112] = chance.randint(0, 12)
        options["exif"] = exif
    file = io.BytesIO()
    image.save(file, kind, **options)
    return kind, file.getvalue(), f"{mode} {width}x{height} {sorted(options)}"


def _damaged(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(min(len(data), chance.choice((40, 400, len(data)))))
        data[place] = chance.choice((0, 255, data[place] ^ (1 << chance.randrange(8)), chance.randrange(256)))
    return bytes(data[: chance.randrange(len(data))] if chance.random() < 0.3 else data)
