"""Whole folders: photos of 50 megapixels in all that takes much memory, and any folder of odd files that is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from outcome import ANSWERED, FAILED, REFUSED, Outcomes
from PIL import Image

UNEXPECTED = "failed in a way that regard did not expect"

SIZE = (8660, 5774)
LARGEST = 10**9
"""Bytes of memory that describing a folder may take, whatever is in it."""
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
    """Describe a folder of large photos, of which none fails."""
    with tempfile.TemporaryDirectory() as name:
        for number in numbers:
            _photo(Path(name), number)
        attack_folder(numbers, outcomes, folder=Path(name), refusing=False)


def attack_folder(numbers: range, outcomes: Outcomes, *, folder: Path, refusing: bool = True) -> None:
    """Describe a folder with one command, which takes no more than :data:`LARGEST`.

    Args:
        numbers: one for each file; they are tried together.
        outcomes: of the files.
        folder: holds them.
        refusing: whether what is no photo is among them.
    """
    with tempfile.TemporaryFile() as output:
        command = subprocess.Popen([sys.executable, "-m", "regard", "caption", "--json", str(folder)], stdout=output)
        _, status, usage = os.wait4(command.pid, 0)
        output.seek(0)
        results = [json.loads(line) for line in output]
    num_bytes, code = usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status)
    ended_well = code in (0, 1) and len(results) == len(numbers) and num_bytes < LARGEST
    why = "" if ended_well else f"exit {code}, {len(results)} of {len(numbers)} results, {num_bytes / 1e6:,.0f} MB"
    for result in results:
        refused = "error" in result
        failed = not ended_well or (refused and (not refusing or UNEXPECTED in result["error"]))
        outcome = FAILED if failed else REFUSED if refused else ANSWERED
        outcomes.add(outcome, result["path"], num_bytes=num_bytes, why=why or str(result.get("error")))
    if not results:
        outcomes.add(FAILED, str(folder), why=why)


def _photo(folder: Path, number: int) -> None:
    mode, suffix, options = KINDS[number % len(KINDS)]
    image = Image.linear_gradient("L").resize(SIZE if number % 3 else SIZE[::-1])
    image = image.convert("RGB").quantize(64) if mode == "P" else image.convert(mode)
    image.save(folder / f"{number:03}.{suffix}", **options)
