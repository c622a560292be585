"""Photos of 50 megapixels in every format and mode that takes much memory, described as one folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from outcome import ANSWERED, FAILED, Outcomes
from PIL import Image

SIZE = (8660, 5774)
LARGEST = 10**9
KINDS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("RGB", "jpg", {"quality": 60}),
    ("RGB", "jpg", {"quality": 60, "progressive": True}),
    ("CMYK", "jpg", {"quality": 60}),
    ("P", "png", {"compress_level": 1, "transparency": 3}),
    ("RGBA", "png", {"compress_level": 1}),
    ("L", "png", {"compress_level": 1, "transparency": 9}),
    ("I;16", "png", {"compress_level": 1}),
    ("1", "png", {}),
    ("P", "gif", {"transparency": 3}),
    ("RGB", "tif", {"compression": "tiff_lzw"}),
)


def attack_large_photos(numbers: range, outcomes: Outcomes) -> None:
    """Describe a folder of large photos: none fails, and the memory of the command stays below :data:`LARGEST`."""
    with tempfile.TemporaryDirectory() as name:
        for number in numbers:
            _photo(Path(name), number)
        captions = Path(name) / "captions.txt"
        with captions.open("wb") as file:
            command = subprocess.Popen([sys.executable, "-m", "regard", "caption", name], stdout=file)
            _, status, usage = os.wait4(command.pid, 0)
        num_bytes = usage.ru_maxrss * 1024
        lines = captions.read_text(encoding="utf-8").splitlines()
        whole = os.waitstatus_to_exitcode(status) == 0 and len(lines) == len(numbers) and num_bytes < LARGEST
        why = f"exit {os.waitstatus_to_exitcode(status)}, {len(lines)} lines, {num_bytes / 1e6:,.0f} MB"
        for number in numbers:
            seconds = (usage.ru_utime + usage.ru_stime) / len(numbers)
            outcome = ANSWERED if whole else FAILED
            outcomes.add(outcome, f"photo {number}", seconds=seconds, num_bytes=num_bytes, why=why)


def _photo(folder: Path, number: int) -> None:
    mode, suffix, options = KINDS[number % len(KINDS)]
    image = Image.linear_gradient("L").resize(SIZE if number % 3 else SIZE[::-1])
    image = image.convert("RGB").quantize(64) if mode == "P" else image.convert(mode)
    image.save(folder / f"{number:03}.{suffix}", **options)
