"""The interface of formats of captioned images: recognise one, read its captions, find its images."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from regard.data.captioned import CaptionRow
from regard.data.image_index import ImageIndex, is_image_name
from regard.data.problems import Problem
from regard.data.splits import is_split_name


class CaptionFormat(ABC):
    """One way in which captioned images lie on a disk.

    Attributes:
        name: what it is called.
        layout: what a folder of it looks like, in a few words, for messages.
    """

    name: ClassVar[str]
    layout: ClassVar[str]

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Whether a folder or a file looks like this format, complete or not; only a little of it is read."""

    @abstractmethod
    def rows(self, path: Path) -> Iterator[CaptionRow | Problem]:
        """Every caption, and what could not be read in its place.

        Raises:
            DependencyError: the format needs a package that is not installed.
        """

    def images(self, path: Path) -> ImageIndex:
        """Where the images are looked for."""
        return ImageIndex(path if path.is_dir() else path.parent)


def manifests(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files of these suffixes in a folder and in the folders in it, in alphabetical order; a file alone is itself.

    Folders for splits and hidden files are left out, and so are files that belong to one image, which has the same
    name but for the suffix.
    """
    if path.is_file():
        return [path]
    inner = [Path(each.path) for each in _entries(path) if each.is_dir() and each.name[0] != "."]
    places = [path, *(each for each in inner if not is_split_name(each.name))]
    return [file for place in places for file in _of_suffixes(place, suffixes)]


def _of_suffixes(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    entries = _entries(folder)
    images = {Path(each.name).stem for each in entries if is_image_name(each.name)}
    chosen = (each for each in entries if each.name.lower().endswith(suffixes) and each.name[0] != ".")
    return [Path(each.path) for each in chosen if each.is_file() and Path(each.name).stem not in images]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda each: each.name)
