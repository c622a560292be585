"""Captioned images: what every reader of them gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from regard.data.problems import Problem


@dataclass(frozen=True)
class CaptionRow:
    """One caption of one image, as a manifest says it.

    Attributes:
        image: the image, by the name that the manifest calls it.
        caption: word for word.
        file, line: where that is said; a line of 0 stands for the whole file.
        split: the split that it says; empty where it says none.
    """

    image: str
    caption: str
    file: str
    line: int
    split: str = ""


@dataclass(frozen=True)
class CaptionedImage:
    """One image and what people wrote about it, word for word."""

    name: str
    path: Path
    captions: tuple[str, ...]


@dataclass(frozen=True)
class CaptionedImages(Sequence[CaptionedImage]):
    """The images of one split, in the order of the data.

    Attributes:
        split: its name.
        items: the images, each with at least one caption.
        left_out: why images or captions of the data are not among them.
    """

    split: str
    items: tuple[CaptionedImage, ...]
    left_out: tuple[Problem, ...] = ()

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
