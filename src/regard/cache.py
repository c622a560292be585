"""What lies in the folder that runs share (:func:`regard.files.cache_folder`): seen, and deleted.

    features/KEY      what a frozen network makes of the photos of a training, see :mod:`regard.data.features`
    onnx/NAME-HASH    models that were exported for ``runtime="onnx"``
    unpacked/HASH     data that came in tar files
    NAME-HASH.pth     pretrained weights that were fetched

All of it is made or fetched again when it is needed. Whatever else lies in the folder is no part of the cache, as
``REGARD_CACHE`` may name a folder that is used for other things, too; nor are links.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from regard.errors import DataError
from regard.files import lock

KINDS = ("features", "onnx", "unpacked")
"""Folders that hold entries."""
WEIGHTS = "*-" + "[0-9a-f]" * 8 + ".pth"
"""Names of files that are entries."""


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
            DataError: a process is writing it, or it cannot be deleted.
        """
        try:
            if not self.path.is_dir():
                self.path.unlink(missing_ok=True)
                return
            with (self.path / "lock").open("ab") as file:
                if not lock(file):
                    raise DataError(f"{self.name}: a training is writing it", remedy="wait for it")
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
    found = (path for pattern in (WEIGHTS, *(f"{kind}/*" for kind in KINDS)) for path in folder.glob(pattern))
    return (path for path in found if not path.is_symlink())


def _entry(folder: Path, path: Path) -> CacheEntry:
    files = [each.lstat() for each in (path.rglob("*") if path.is_dir() else [path]) if not each.is_dir()]
    last_used = max((max(each.st_atime, each.st_mtime) for each in files), default=path.lstat().st_mtime)
    return CacheEntry(path.relative_to(folder).as_posix(), path, sum(each.st_size for each in files), last_used)
