"""Readers of captioned images, one file a format; which one a folder wants is found by looking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from regard.data.readers.coco import is_coco, read_coco
from regard.data.readers.flickr8k import CaptionedImages, read_flickr8k

READERS: dict[str, Callable[[Path, str], CaptionedImages]] = {"flickr8k": read_flickr8k, "coco": read_coco}
"""By the name of the format, as a recipe calls it."""


def read_captioned_images(folder: Path, split: str) -> CaptionedImages:
    """The images of ``split`` with all their captions, in whichever format ``folder`` holds them.

    Raises:
        DataError: the data cannot be used, see the readers.
    """
    return read_coco(folder, split) if is_coco(folder) else read_flickr8k(folder, split)
