"""Odd pictures: every kind of file and of pixels, with and without transparency and rotation; then damaged ones."""

from __future__ import annotations

import io
import os
import random
import warnings
from typing import Literal

import numpy as np
from outcome import Outcomes, chance_of, try_apart
from PIL import ExifTags, Image

import regard
from regard.data.images import load_image

KINDS = {
    "JPEG": ("RGB", "L", "CMYK"),
    "MPO": ("RGB", "L"),
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "AVIF": ("RGB", "RGBA"),
    "GIF": ("P", "L"),
    "BMP": ("RGB", "L", "P", "1", "RGBA"),
    "TIFF": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "I", "F", "CMYK", "YCbCr", "LAB"),
}
SIZES = ((1, 1), (1, 300), (300, 1), (3, 5), (64, 48), (500, 375), (2000, 30), (1300, 900))
LARGE = (9000, 4000)


def attack_pictures(numbers: range, outcomes: Outcomes) -> None:
    """Files of every kind, three in four of them damaged; one in four is described, the others are decoded."""
    captioner = regard.load("flickr8k")
    captioner.caption(Image.new("RGB", (60, 60)))  # what is loaded at first is loaded before the fork
    for number in numbers:
        chance = chance_of("pictures", number)
        kind, content, what = _picture(chance)
        if chance.random() < 0.75:
            content, how = chance.choice(DAMAGES)(content, chance)
            what += f" {how}"

        def describe(content: bytes = content, full: bool = number % 4 == 0) -> None:
            captioner._engine._process = os.getpid()  # a fork that computes with one thread, as this one does, may
            if full:
                captioner.caption(io.BytesIO(content))
            else:
                load_image(io.BytesIO(content), hint=600)

        try_apart(describe, f"{number} {kind} {what}", outcomes)


def _picture(chance: random.Random) -> tuple[str, bytes, str]:
    kind = chance.choice([*KINDS])
    mode = chance.choice(KINDS[kind])
    width, height = LARGE if kind in ("JPEG", "PNG", "GIF") and chance.random() < 0.02 else chance.choice(SIZES)
    image = _pixels(mode, (width, height), np.random.default_rng(chance.randrange(2**32)))
    options: dict[str, object] = {}
    if mode in ("P", "L", "RGB") and kind in ("PNG", "GIF") and chance.random() < 0.5:
        options["transparency"] = (1, 2, 3) if mode == "RGB" else 3
    if kind in ("JPEG", "MPO"):
        options |= {"progressive": chance.random() < 0.5, "quality": chance.randint(1, 100)}
    if kind == "TIFF":
        options["compression"] = chance.choice((None, "tiff_lzw", "tiff_deflate", "packbits"))
    if kind in ("JPEG", "PNG", "WEBP", "AVIF") and chance.random() < 0.5:
        options["exif"] = _rotation(chance, odd=kind != "AVIF")
    if kind in ("JPEG", "PNG", "WEBP", "TIFF") and chance.random() < 0.2:
        options["icc_profile"] = chance.randbytes(chance.choice((1, 128, 5000)))
    if kind in ("GIF", "PNG", "WEBP", "TIFF", "MPO") and width * height < 300_000 and chance.random() < 0.3:
        options |= {"save_all": True, "append_images": [image.rotate(90)] * chance.randint(1, 5)}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is odd on purpose
        image.save(file, kind, **options)
    return kind, file.getvalue(), f"{mode} {width}x{height} {sorted(options)}"


def _pixels(mode: str, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 2**16, size[::-1], np.uint16))
    if mode in ("I", "F"):
        return Image.fromarray(rng.normal(0, 1e6, size[::-1]).astype(np.int32 if mode == "I" else np.float32))
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 4), np.uint8), mode="RGBA").resize(size)
    return coarse.convert("RGB").quantize(250) if mode == "P" else coarse.convert(mode)


def _rotation(chance: random.Random, *, odd: bool) -> Image.Exif | bytes:
    """EXIF with an orientation, or with one that there is not; where it may be odd also what is no EXIF."""
    if odd and chance.random() < 0.3:
        return b"Exif\0\0" + chance.choice((b"II*\0", b"MM\0*", b"")) + chance.randbytes(chance.randint(0, 60))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = chance.choice((*range(13), 2**16 - 1))
    return exif


def _change_bytes(content: bytes, chance: random.Random) -> tuple[bytes, str]:
    data = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(min(len(data), chance.choice((40, 400, len(data)))))
        data[place] = chance.choice((0, 255, data[place] ^ (1 << chance.randrange(8)), chance.randrange(256)))
    return bytes(data), "with other bytes"


def _cut(content: bytes, chance: random.Random) -> tuple[bytes, str]:
    return content[: chance.randrange(len(content))], "cut short"


def _change_size(content: bytes, chance: random.Random) -> tuple[bytes, str]:
    """A number in the head becomes a huge one, in either order of its bytes."""
    place = chance.randrange(min(len(content), 200))
    number = chance.choice((0, 2**16 - 1, 2**31 - 1, 2**32 - 1, 20_000, 200_000))
    order: Literal["big", "little"] = "big" if chance.random() < 0.5 else "little"
    return content[:place] + number.to_bytes(4, order) + content[place + 4 :], "with a huge number"


def _repeat(content: bytes, chance: random.Random) -> tuple[bytes, str]:
    """A stretch of the file many times."""
    first = chance.randrange(len(content))
    part = content[first : first + chance.randint(1, 300)]
    return content[:first] + part * chance.choice((2, 50, 3000)) + content[first:], "with a part again and again"


DAMAGES = (_change_bytes, _change_bytes, _cut, _change_size, _repeat)
