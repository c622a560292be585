"""A cache on disk of the features that a frozen network computes from each image.

One folder per kind of feature; the key names everything that the numbers depend on besides the image, and each row is
known by the content of its image and the view of it (plain, mirrored, …). Rows are only ever appended: first the
numbers, then the line that says they are there, so a kill at any moment costs at most the rows under way. Several
processes may share a cache: one of them writes, the others wait and find the rows there.

    features.bin    float16 rows, one after another
    index.jsonl     a first line with key and shape, then one line per row: its name and the CRC-32 of its numbers
    lock            held by the process that writes
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regard.errors import DataError
from regard.files import cache_folder, lock, replacing

Features = npt.NDArray[np.float16]
BLOCK = 16
"""How many missing rows are computed and written together."""


def content_key(path: Path) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of a file.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def settings_key(values: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that stand for plain settings."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


class FeatureCache:
    """Rows of features by name, memory-mapped.

    Args:
        folder: where caches lie; this one gets a folder of its own in it, named by ``key``.
        key: what the numbers depend on besides the image, see :func:`settings_key`.
        shape: the shape of one row.
    """

    def __init__(self, folder: Path, key: str, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._folder = folder / key
        self._numbers = self._folder / "features.bin"
        self._index = self._folder / "index.jsonl"
        self._header = {"version": 1, "key": key, "shape": list(shape)}
        self._row_bytes = int(np.prod(shape)) * 2
        self._rows: dict[str, int] = {}
        self._unchecked: dict[str, int] = {}
        """The checksums of rows that were not read yet; caches of former versions have none."""
        with self._one_error():
            self._folder.mkdir(parents=True, exist_ok=True)
        if not self._index.exists():
            self._begin()
        self._read()

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that have no row yet, in order, each once."""
        return [name for name in dict.fromkeys(names) if name not in self._rows]

    def rows(self, names: Sequence[str]) -> Features:
        """The rows of ``names``, [name, *shape]; each must be there.

        Raises:
            DataError: a row is not what was stored, which is noticed when it is first read.
        """
        mapped = np.memmap(self._numbers, dtype=np.float16, mode="r").reshape(-1, *self.shape)
        rows: Features = np.stack([mapped[self._rows[name]] for name in names])
        for name, row in zip(names, rows, strict=True):
            checksum = self._unchecked.pop(name, None)
            if checksum is not None and checksum != zlib.crc32(row.data):
                raise DataError(f"{self._folder}: the features of {name!r} are damaged", remedy="delete that folder")
        return rows

    def require_room(self, count: int) -> str:
        """What ``count`` more rows take on the disk, and where, in words.

        Raises:
            DataError: the disk has no room for them.
        """
        needed, free = count * self._row_bytes, shutil.disk_usage(self._folder).free
        size = f"{needed / 1e9:.1f} GB" if needed >= 1e9 else f"{needed / 1e6:.1f} MB"
        if needed > free:
            raise DataError(
                f"{self._folder}: {count:,} views of photos take {size}, and {free / 1e9:.1f} GB are free",
                remedy="make room, lower data.crops, set data.mirrored to false, or give another folder with --cache",
            )
        seen = " (see: regard cache)" if cache_folder() in self._folder.parents else ""
        return f"features of {count:,} views of photos take {size} in {self._folder}{seen}"

    def complete(
        self,
        names: Sequence[str],
        compute: Callable[[Sequence[str]], npt.NDArray[np.floating[Any]]],
        *,
        advance: Callable[[int], None],
    ) -> None:
        """Compute and store the rows that are missing.

        Args:
            names: the rows that are wanted.
            compute: from up to :data:`BLOCK` names to their rows, [name, *shape].
            advance: called with the number of rows after each block, for a progress bar.

        Raises:
            DataError: the disk is full or the folder cannot be written.
        """
        missing = self.missing(names)
        if not missing:
            advance(len(names))
            return
        with self._locked():
            # another process may have stored some of them while this one waited
            self._read(mend=True)
            missing = self.missing(names)
            advance(len(names) - len(missing))
            for first in range(0, len(missing), BLOCK):
                block = missing[first : first + BLOCK]
                self._append(block, compute(block))
                advance(len(block))

    def _append(self, names: Sequence[str], values: npt.NDArray[np.floating[Any]]) -> None:
        rows = np.ascontiguousarray(values, dtype=np.float16)
        assert len(set(names)) == len(names), "a row is stored once"
        assert rows.shape == (len(names), *self.shape), f"rows of {self.shape}, not {rows.shape[1:]}"
        with self._one_error():
            with self._numbers.open("r+b") as file:
                file.seek(len(self._rows) * self._row_bytes)
                file.write(rows.tobytes())
                file.flush()
                os.fsync(file.fileno())
            with self._index.open("a", encoding="utf-8") as file:
                lines = ([name, zlib.crc32(row.data)] for name, row in zip(names, rows, strict=True))
                file.writelines(json.dumps(line) + "\n" for line in lines)
        for name in names:
            self._rows[name] = len(self._rows)

    def _begin(self) -> None:
        with self._locked(), self._one_error():
            if not self._index.exists():
                self._numbers.write_bytes(b"")
                self._write_index([])

    def _read(self, *, mend: bool = False) -> None:
        """Learn which rows are there; ``mend`` cuts off what a writer that was killed left unfinished."""
        with self._one_error():
            lines = self._index.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
            stored = self._numbers.stat().st_size // self._row_bytes
        values = _whole_lines(lines)
        if not values or values[0] != self._header:
            raise DataError(f"{self._folder}: holds something else than this cache", remedy="delete that folder")
        entries = values[1 : stored + 1]
        if mend and len(entries) + 1 != len(lines):
            with self._one_error():
                self._write_index(entries)
        pairs = [each if isinstance(each, list) and len(each) == 2 else (str(each), None) for each in entries]
        checksums = {name: checksum for name, checksum in pairs if checksum is not None and name not in self._rows}
        self._rows = {name: row for row, (name, _) in enumerate(pairs)}
        self._unchecked |= checksums

    def _write_index(self, entries: Sequence[Any]) -> None:
        """Write an index of these entries, each the name of a row and its checksum."""
        text = "".join(json.dumps(each) + "\n" for each in [self._header, *entries])
        with replacing(self._index, alone=True) as temporary:
            temporary.write_text(text, encoding="utf-8")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from writing; wait for one that does."""
        with self._one_error():
            file = (self._folder / "lock").open("ab")
        with file:
            lock(file, wait=True)
            yield

    @contextmanager
    def _one_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f"{self._folder}: features cannot be stored there ({error.strerror})",
                remedy="make room or choose another cache folder; what is stored already is kept",
            ) from None


def _whole_lines(lines: Sequence[str]) -> list[Any]:
    values = []
    for line in lines:
        try:
            values.append(json.loads(line))
        except json.JSONDecodeError:
            break
        if not line.endswith("\n"):
            values.pop()
            break
    return values
