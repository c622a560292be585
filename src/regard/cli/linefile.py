"""Lines written to a file one after another, so that a command that was stopped goes on behind the last whole one.

Until all lines are there they lie in ``FILE.part``, and ``FILE.part.key`` says what they were made from; a command that
makes them from something else begins anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from regard.cli.report import one_line
from regard.errors import DataError


class LineFile:
    """Writes lines to ``path``, behind those that an earlier, stopped command wrote.

    Args:
        path: the file.
        made_from: what the lines depend on, in order: settings, and files, of which the contents count.

    Attributes:
        num_done: how many lines were there before.

    Raises:
        DataError: the file cannot be written.
    """

    def __init__(self, path: Path, *, made_from: Sequence[bytes | Path]) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._key = path.with_name(f"{path.name}.part.key")
        key = hashlib.sha256(b"".join(map(_digest, made_from))).hexdigest()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file, self.num_done = self._resume() if self._standing() == key else self._begin(key)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror})", remedy="choose another place") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, line: str) -> None:
        """One more line; ends of lines in it become spaces, and a lone surrogate is escaped."""
        self._file.write(f"{one_line(line)}\n".encode("utf-8", "backslashreplace"))
        self._file.flush()

    def write_json(self, value: Any) -> None:
        """One more line, of JSON."""
        self.write(json.dumps(value, ensure_ascii=False, allow_nan=False))

    def finish(self) -> None:
        """All lines are there: give the file its name."""
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)
        self._key.unlink(missing_ok=True)

    def _standing(self) -> str:
        return self._key.read_text(encoding="ascii") if self._key.exists() and self._part.exists() else ""

    def _begin(self, key: str) -> tuple[BinaryIO, int]:
        file = self._part.open("wb")
        self._key.write_text(key, encoding="ascii")
        return file, 0

    def _resume(self) -> tuple[BinaryIO, int]:
        file = self._part.open("r+b")
        num_lines = whole = 0
        for line in file:
            if line.endswith(b"\n"):
                num_lines, whole = num_lines + 1, whole + len(line)
        file.truncate(whole)
        file.seek(whole)
        return file, num_lines


def _digest(source: bytes | Path) -> bytes:
    """Of a file without holding more than a block of it."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).digest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
