"""Where the images of a manifest lie: by the name it gives, and where that leads nowhere, by looking for it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PureWindowsPath

_SUFFIXES = "jpg jpeg jpe jfif png webp gif bmp avif tif tiff heic heif mpo"
IMAGE_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
_COPY_NUMBER = re.compile(r"(\.(?:jpe?g|png|gif|webp))\.\d+$", re.IGNORECASE)
_IGNORED_FOLDERS = frozenset(["__MACOSX", "__pycache__"])
_IGNORED_FILES = frozenset(["thumbs.db", "desktop.ini"])
_NUMBER_DIGITS = 12
"""How many digits COCO's file names have for the number of an image."""


def is_image_name(name: str) -> bool:
    """Whether a name ends as those of images do, such as ``a.JPG``, or ``a.jpg.1`` of some copies of Flickr8k."""
    return Path(_COPY_NUMBER.sub(r"\1", name.strip())).suffix.lower() in IMAGE_SUFFIXES


def files_below(folder: Path) -> Iterator[Path]:
    """Every file in a folder and its folders, in alphabetical order; hidden ones and what systems leave aside."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each not in _IGNORED_FOLDERS)
        for name in sorted(names):
            if not name.startswith(".") and name.lower() not in _IGNORED_FILES:
                yield Path(place, name)


class ImageIndex:
    """Finds images below a folder.

    Args:
        folder: where a manifest lies.
        first: folders to look in before all others.
    """

    def __init__(self, folder: Path, *first: Path) -> None:
        self.folder = folder
        self._first = (*first, folder)

    def find(self, name: str) -> Path | None:
        """The file of an image: as a path, or the only file of that name anywhere below the folder.

        Upper and lower case, Unicode forms, backslashes, a number after the suffix (``a.jpg.1``) and a missing suffix
        do not matter where the name alone leads nowhere.
        """
        if "\0" in name or not name.strip():
            return None
        try:
            for place in self._first:
                if (path := place / name).is_file():
                    return path
            return self._look_for(name)
        except (OSError, ValueError):  # such as a name longer than the system allows
            return None

    def _look_for(self, name: str) -> Path | None:
        wanted = _COPY_NUMBER.sub(r"\1", _folded(PureWindowsPath(name.strip()).as_posix()))
        base = wanted.rsplit("/", 1)[-1]
        for key in (base, base.zfill(_NUMBER_DIGITS)):
            found = self._by_name.get(key) or self._by_stem.get(key) or []
            if len(found) > 1:
                found = _nearest(found, wanted)
            if len(found) == 1 or (found and len({path.stat().st_size for path in found}) == 1):
                return found[0]
        return None

    @property
    def paths(self) -> Iterator[Path]:
        """Every image below the folder."""
        return (path for path in files_below(self.folder) if is_image_name(path.name))

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        names: dict[str, list[Path]] = {}
        for path in self.paths:
            names.setdefault(_folded(path.name), []).append(path)
        return names

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        stems: dict[str, list[Path]] = {}
        for paths in self._by_name.values():
            for path in paths:
                stems.setdefault(_folded(path.stem), []).append(path)
        return stems


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _nearest(paths: list[Path], wanted: str) -> list[Path]:
    """Those that share most of the last folders with the path that is wanted."""
    parts = wanted.split("/")[::-1]

    def shared(path: Path) -> int:
        own = _folded(path.as_posix()).split("/")[::-1]
        return next((i for i, (a, b) in enumerate(zip(own, parts, strict=False)) if a != b), min(len(own), len(parts)))

    most = max(map(shared, paths))
    return [path for path in paths if shared(path) == most]
