"""Captioned images with their captions beside them.

    beach.jpg    an image
    beach.txt    its captions, one a line; or beach.caption

in any folders. Images without a text, and texts without an image, are named.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from regard.data.captioned import CaptionRow
from regard.data.image_index import ImageIndex, files_below, is_image_name
from regard.data.problems import Problem
from regard.data.readers.base import CaptionFormat
from regard.data.tables import numbered_lines

_SUFFIXES = (".txt", ".caption")


class Sidecar(CaptionFormat):
    """A text file for each image."""

    name: ClassVar[str] = "photo.txt"
    layout: ClassVar[str] = "photo.jpg with photo.txt beside it"

    def recognises(self, path: Path) -> bool:
        return path.is_dir() and any(True for _ in _captioned(path))

    def rows(self, path: Path) -> Iterator[CaptionRow | Problem]:
        texts = dict(_captioned(path))
        for image in ImageIndex(path).paths:
            name = image.relative_to(path).as_posix()
            if image not in texts:
                yield Problem(
                    str(image), "has no caption", remedy=f"write it into {image.stem}.txt, or delete the image"
                )
                continue
            num_lines = 0
            for line in numbered_lines(texts[image]):
                if isinstance(line, Problem):
                    yield line
                elif line[1].strip():
                    yield CaptionRow(name, line[1].strip(), str(texts[image]), line[0])
                num_lines += 1
            if not num_lines:
                yield Problem(str(texts[image]), "is empty", remedy="write the caption into it")


def _captioned(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Each image that has a text, and the text."""
    for image in files_below(folder):
        if is_image_name(image.name):
            text = next((each for suffix in _SUFFIXES if (each := image.with_suffix(suffix)).is_file()), None)
            if text is not None:
                yield image, text
