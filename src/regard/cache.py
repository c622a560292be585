"""What lies in the folder that runs share (:func:`regard.files.cache_folder`): seen, and deleted.

    features/KEY      what a frozen network makes of the photos of a training, see :mod:`regard.data.features`
    onnx/NAME-HASH    models that were exported for ``runtime="onnx"``
    unpacked/HASH     data that came in tar files
    NAME-HASH.pth     pretrained weights that were fetched

All of it is made or fetched again when it is needed. Whatever else lies in the folder is no part of the cache, as
``REGARD_CACHE`` may name a folder that is used for other things, too; nor are links, or what they lead to.
Processes that use what lies in a folder hold a shared lock on it (:func:`regard.files.keep_until_exit`).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from regard.errors import DataError
from regard.files import lock

KINDS = {
    "features": re.compile(r"[0-9a-f]{16}"),
    "onnx": re.compile(r".+-[0-9a-f]{16}(-\d+)?"),  # with a number where an export was killed
    "unpacked": re.compile(r"[0-9a-f]{16}"),
}
"""Folders that hold entries, and the names of these."""


@dataclass(frozen=True)
class CacheEntry:
    """One thing in the cache.

    Attributes:
        name: its path below the cache, with slashes.
        path: where it lies.
        num_bytes: its size.
        last_used: when one of its files was last written or read, as far as the system notes that; seconds since 1970.
    """

    name: str
    path: Path
    num_bytes: int
    last_used: float

    def delete(self) -> None:
        """Delete it.

        Raises:
            DataError: a process is using what lies in its folder, or it cannot be deleted.
        """
        try:
            if not self.path.is_dir():
                self.path.unlink(missing_ok=True)
                return
            with (self.path.parent / "lock").open("ab") as file:
                if not lock(file):
                    kind = self.path.parent.name
                    raise DataError(f"{self.name}: another process is using {kind}", remedy="wait until it ends")
                shutil.rmtree(self.path)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be deleted ({error.strerror})") from None


def cache_entries(folder: Path) -> list[CacheEntry]:
    """Everything in a cache, the largest first; nothing where there is no such folder."""
    if not folder.is_dir():
        return []
    entries = [_entry(folder, path) for path in _paths(folder)]
    return sorted(entries, key=lambda entry: (-entry.num_bytes, entry.name))


def _paths(folder: Path) -> Iterator[Path]:
    for kind, names in KINDS.items():
        if not (folder / kind).is_symlink():
            entries = (path for path in (folder / kind).glob("*") if names.fullmatch(path.name) and path.is_dir())
            yield from (path for path in entries if not path.is_symlink())
    weights = [path for path in folder.glob("*.pth") if path.is_file() and not path.is_symlink()]
    if weights:
        from regard.encoders.pretrained import DOWNLOADS  # imports torch

        fetched = {url.rpartition("/")[2] for url in DOWNLOADS.values()}
        yield from (path for path in weights if path.name in fetched)


def _entry(folder: Path, path: Path) -> CacheEntry:
    files = [each.lstat() for each in (path.rglob("*") if path.is_dir() else [path]) if not each.is_dir()]
    last_used = max((max(each.st_atime, each.st_mtime) for each in files), default=path.lstat().st_mtime)
    return CacheEntry(path.relative_to(folder).as_posix(), path, sum(each.st_size for each in files), last_used)
