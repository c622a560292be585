"""Readers of captioned images, one file a format; which one a folder wants is found by looking.

To add a format, write a :class:`CaptionFormat` in a file of its own and name it in :data:`FORMATS`.
"""

from __future__ import annotations

from pathlib import Path

from regard.data.captioned import CaptionedImages
from regard.data.collection import CaptionCollection, collect
from regard.data.readers.base import CaptionFormat
from regard.data.readers.coco import Coco
from regard.data.readers.flickr8k import Flickr8k
from regard.data.readers.karpathy import Karpathy
from regard.data.readers.sidecar import Sidecar
from regard.data.readers.split_folders import SplitFolders
from regard.data.readers.table import Table
from regard.data.readers.webdataset import WebDataset
from regard.errors import DataError

_FLAT: tuple[CaptionFormat, ...] = (Flickr8k(), Coco(), Karpathy(), WebDataset(), Table())


def _find_flat(path: Path) -> CaptionFormat | None:
    return next((each for each in (*_FLAT, Sidecar()) if each.recognises(path)), None)


FORMATS: tuple[CaptionFormat, ...] = (*_FLAT, SplitFolders(_find_flat), Sidecar())
"""Every format, in the order in which they are tried."""


def find_format(path: Path) -> CaptionFormat | None:
    """The format of a folder or file; None where it holds no captioned images.

    Raises:
        DataError: there is no such folder or file.
    """
    if not path.exists():
        raise DataError(f"{path}: no such folder or file")
    return next((each for each in FORMATS if each.recognises(path)), None)


def read_collection(path: Path, *, seed: int = 0) -> CaptionCollection:
    """All captioned images of a folder or file, in whichever format they are, and all that is wrong with them.

    Args:
        path: where they lie.
        seed: of splits that the data do not have, which are drawn.

    Raises:
        DataError: there is nothing, or it is in no known format.
        DependencyError: the format needs a package that is not installed.
    """
    found = find_format(path)
    if found is None:
        layouts = "; ".join(each.layout for each in FORMATS)
        raise DataError(
            f"{path}: holds no captioned images in a known layout", allowed=layouts, remedy="see docs/data.md"
        )
    return collect(path, found.name, found.rows(path), found.images(path), seed=seed)


def read_captioned_images(path: Path, split: str, *, strict: bool = True) -> CaptionedImages:
    """The images of ``split``, or of several joined by ``+``, with all their captions.

    Args:
        path: a folder or file in any of :data:`FORMATS`.
        split: its name; one that the data do not have is drawn, see :func:`regard.data.splits.draw_missing`.
        strict: refuse data with problems, otherwise leave out what cannot be used.

    Raises:
        DataError: the data cannot be used, or there is no such split.
        DependencyError: the format needs a package that is not installed.
    """
    return read_collection(path).read(split, strict=strict)
