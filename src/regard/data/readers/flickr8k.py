"""Captioned images in the official layout of Flickr8k (Hodosh, Young and Hockenmaier 2013).

    Flicker8k_Dataset/            the images (spelled so by its makers)
    Flickr8k.token.txt            NAME#INDEX <tab> CAPTION, one caption a line
    Flickr_8k.trainImages.txt     the image names of a split, one a line; likewise dev and test, and any other name

Your own photos in the same layout are read the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from regard.data.lines import read_lines
from regard.errors import DataError

IMAGE_FOLDER = "Flicker8k_Dataset"
CAPTION_FILE = "Flickr8k.token.txt"
_SPLIT_FILE = re.compile(r"Flickr_8k\.(.+)Images\.txt")
_CAPTION_LINE = re.compile(r"([^\t]+)#(\d+)\t(.*)", re.DOTALL)


@dataclass(frozen=True)
class CaptionedImage:
    """One image and what people wrote about it, word for word."""

    name: str
    path: Path
    captions: tuple[str, ...]


@dataclass(frozen=True)
class CaptionedImages(Sequence[CaptionedImage]):
    """The images of one split, in the order of its list."""

    split: str
    items: tuple[CaptionedImage, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[CaptionedImage]:
        return iter(self.items)

    @overload
    def __getitem__(self, index: int) -> CaptionedImage: ...
    @overload
    def __getitem__(self, index: slice) -> CaptionedImages: ...
    def __getitem__(self, index: int | slice) -> CaptionedImage | CaptionedImages:
        if isinstance(index, slice):
            return CaptionedImages(self.split, self.items[index])
        return self.items[index]

    @property
    def paths(self) -> list[Path]:
        """Where the images lie, in order."""
        return [item.path for item in self.items]

    @property
    def captions(self) -> list[tuple[str, ...]]:
        """The captions of each image, in order."""
        return [item.captions for item in self.items]


def is_flickr8k(folder: Path) -> bool:
    """Whether ``folder`` looks like this layout, complete or not."""
    return (folder / CAPTION_FILE).exists() or (folder / IMAGE_FOLDER).exists()


def flickr8k_splits(folder: Path) -> list[str]:
    """The splits that ``folder`` has a list for, in alphabetical order.

    Raises:
        DataError: no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", allowed=f"a folder with {CAPTION_FILE} and {IMAGE_FOLDER}/")
    found = (_SPLIT_FILE.fullmatch(path.name) for path in folder.iterdir())
    return sorted(match[1] for match in found if match)


def read_flickr8k(folder: Path, split: str) -> CaptionedImages:
    """The images of ``split`` with all their captions.

    Raises:
        DataError: the folder or one of its files is missing, the split has no list, a line is malformed, or images of
            the split are not there or have no caption; the message says which, or how many and names the first.
    """
    splits = flickr8k_splits(folder)
    if split not in splits:
        remedy = f"a split is a file Flickr_8k.{split}Images.txt of image names"
        raise DataError(f"{folder}: has no split {split!r}", allowed=", ".join(splits), remedy=remedy)
    captions = read_captions(folder)
    present = image_names(folder)
    names = read_split(folder, split)
    _refuse([name for name in names if name not in present], len(names), split, f"not in {folder / IMAGE_FOLDER}")
    _refuse([name for name in names if name not in captions], len(names), split, f"without a caption in {CAPTION_FILE}")
    images = folder / IMAGE_FOLDER
    return CaptionedImages(split, tuple(CaptionedImage(name, images / name, captions[name]) for name in names))


def read_split(folder: Path, split: str) -> list[str]:
    """The image names of a split, in order; blank lines are no names.

    Raises:
        DataError: the list cannot be read, is empty, or names an image twice.
    """
    path = folder / f"Flickr_8k.{split}Images.txt"
    first_line: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), start=1):
        name = line.strip()
        if not name:
            continue
        if name in first_line:
            raise DataError(f"{path}: line {number} names {name} again, after line {first_line[name]}")
        first_line[name] = number
    if not first_line:
        raise DataError(f"{path}: names no image", allowed="one image name a line")
    return list(first_line)


def read_captions(folder: Path) -> dict[str, tuple[str, ...]]:
    """The captions of each image, in the order of their index.

    Raises:
        DataError: the file cannot be read, a line is malformed, or an image has two captions of one index.
    """
    path = folder / CAPTION_FILE
    found: dict[str, dict[int, str]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        match = _CAPTION_LINE.fullmatch(line)
        if match is None:
            raise DataError(f"{path}: line {number} is not a caption: {line:.60}", allowed="NAME#INDEX<tab>CAPTION")
        name, index, caption = match[1], int(match[2]), match[3]
        if index in found.setdefault(name, {}):
            raise DataError(f"{path}: line {number} gives caption {index} of {name} a second time")
        found[name][index] = caption
    return {name: tuple(text for _, text in sorted(by_index.items())) for name, by_index in found.items()}


def image_names(folder: Path) -> set[str]:
    """The names of the files in the image folder.

    Raises:
        DataError: there is no image folder.
    """
    images = folder / IMAGE_FOLDER
    if not images.is_dir():
        raise DataError(f"{images}: no such folder", remedy="put the images there, the name is spelled so on purpose")
    return {path.name for path in images.iterdir()}


def _refuse(names: Sequence[str], count: int, split: str, reason: str) -> None:
    if names:
        given = f"{len(names)} of the {count} images of split {split!r} are {reason}, the first is {names[0]}"
        raise DataError(given, remedy="complete the data, or take their names out of the list of the split")
