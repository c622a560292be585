"""Captioned images in a folder for each split, each of which is in a format of its own.

train/    such as photos with their texts, or a table and its images
val/
test/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from regard.data.captioned import CaptionRow
from regard.data.problems import Problem
from regard.data.readers.base import CaptionFormat
from regard.data.splits import is_split_name

FindFormat = Callable[[Path], CaptionFormat | None]


class SplitFolders(CaptionFormat):
    """Folders called train, val and test.

    Args:
        find_format: the format of a folder, None where it has none.
    """

    name: ClassVar[str] = "split folders"
    layout: ClassVar[str] = "folders train/, val/ and test/, each in one of these formats"

    def __init__(self, find_format: FindFormat) -> None:
        self._find_format = find_format

    def recognises(self, path: Path) -> bool:
        return path.is_dir() and any(self._find_format(folder) is not None for folder in _folders(path))

    def rows(self, path: Path) -> Iterator[CaptionRow | Problem]:
        for folder in _folders(path):
            inner = self._find_format(folder)
            if inner is None:
                yield Problem(str(folder), "holds no captions in a known layout")
                continue
            images = inner.images(folder)
            for row in inner.rows(folder):
                if isinstance(row, Problem):
                    yield replace(row, split=folder.name)
                else:
                    found = images.find(row.image)
                    # names are those below this folder, the same name may stand in another one
                    name = f"{folder.name}/{row.image}" if found is None else _below(found, path)
                    yield replace(row, image=name, split=folder.name)


def _below(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file)


def _folders(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir() and is_split_name(each.name))
