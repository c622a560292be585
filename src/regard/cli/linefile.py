"""Lines written to a file one after another, so that a command that was stopped goes on behind the last whole one.

Until all lines are there they lie in ``FILE.part``. ``FILE.part.key`` says what they were made from, and which of them
stand for something that failed; a command that makes them from something else begins anew. While a command writes, it
holds a lock on that file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from regard.cli.report import json_line, one_line
from regard.errors import DataError, Interrupted
from regard.files import lock, put_in_place


class LineFile:
    """Writes lines to ``path``, behind those that an earlier, stopped command wrote.

    Args:
        path: the file.
        made_from: what the lines depend on, in order: settings, and files, of which the contents count.

    Attributes:
        num_done: how many lines were there before.
        num_lines: how many are there now.
        num_failed: for how many of these :meth:`note_failure` was called.

    Raises:
        DataError: the file cannot be written, is a device or a pipe, or another command is writing it.
    """

    def __init__(self, path: Path, *, made_from: Sequence[bytes | Path]) -> None:
        if path.exists() and not path.is_file():
            # the finished file would take the place of it
            raise DataError(f"{path}: is no regular file", remedy="choose another place, or go without --output")
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._key = path.with_name(f"{path.name}.part.key")
        key = hashlib.sha256(b"".join(map(_digest, made_from))).hexdigest().encode()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as opened:
                self._notes = opened.enter_context(self._key.open("a+b"))
                if not lock(self._notes):
                    remedy = "wait for it, or choose another file"
                    raise DataError(f"{path}: another command is writing it", remedy=remedy)
                noted, *failed = self._notes_so_far()
                resumes = noted == key and self._part.exists()
                self._file = opened.enter_context(self._part.open("r+b" if resumes else "wb"))
                self.num_done = self._resume() if resumes else self._begin(key)
                self._opened = opened.pop_all()
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror})", remedy="choose another place") from None
        # a failure is noted before its line is written, and so perhaps without one, or twice
        self.num_failed = len({each for each in failed if resumes and each.isdigit() and int(each) < self.num_done})
        self.num_lines = self.num_done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # what could not be written is tried once more when a file is closed, and has been told already
        with suppress(OSError) if error is not None else nullcontext():
            self._opened.close()

    def note_failure(self) -> None:
        """The next line stands for something that failed, and a command that goes on behind it is to know."""
        with self._writing():
            self._notes.write(f"{self.num_lines}\n".encode())
            self._notes.flush()
        self.num_failed += 1

    def write(self, line: str) -> None:
        """One more line; ends of lines in it become spaces, and a lone surrogate is escaped.

        Raises:
            DataError: the disk is full; the lines before are kept.
        """
        with self._writing():
            self._file.write(f"{one_line(line)}\n".encode("utf-8", "backslashreplace"))
            self._file.flush()
        self.num_lines += 1

    def write_json(self, value: Any) -> None:
        """One more line, of JSON."""
        self.write(json_line(value))

    def finish(self, put: Callable[[Path, Path], None] = put_in_place) -> None:
        """All lines are there: give the file its name.

        Args:
            put: brings the file of the lines to the place of the finished one.
        """
        with self._writing():
            self._file.close()
            put(self._part, self._path)
            self._key.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f"{self._part}: cannot be written ({error.strerror})",
                remedy="make room; the same command goes on behind the last whole line",
            ) from None

    def _notes_so_far(self) -> list[bytes]:
        """The key, empty where there is none, and the numbers of the lines that failed, counted from 0."""
        self._notes.seek(0)
        return self._notes.read().split(b"\n")

    def _begin(self, key: bytes) -> int:
        self._notes.truncate(0)
        self._notes.write(key + b"\n")
        self._notes.flush()
        return 0

    def _resume(self) -> int:
        """Go behind the last whole line; returns how many there are."""
        num_lines = whole = 0
        for line in self._file:
            if line.endswith(b"\n"):
                num_lines, whole = num_lines + 1, whole + len(line)
        self._file.truncate(whole)
        self._file.seek(whole)
        return num_lines


@contextmanager
def continuable(lines: LineFile, output: Path) -> Iterator[None]:
    """Say how work that is stopped goes on.

    Raises:
        Interrupted: the user stopped it.
    """
    try:
        yield
    except KeyboardInterrupt:
        if not lines.num_lines:
            raise Interrupted("stopped before the first line was done") from None
        done = f"{lines.num_lines} lines are done" if lines.num_lines > 1 else "one line is done"
        raise Interrupted(f"stopped; {done} and kept in {output}.part", remedy="the same command goes on") from None


def model_files(name: str) -> list[Path]:
    """The files that decide what a model says."""
    from regard.saved.bundle import find_bundle

    return [path for path in sorted(find_bundle(name).rglob("*")) if path.is_file()]


def _digest(source: bytes | Path) -> bytes:
    """Of a file without holding more than a block of it."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).digest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
