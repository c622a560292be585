"""Files and folders that are whole or absent, however their writing ends; locks; the folder of what runs share.

Each is written under a temporary name, synced and renamed.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError

from regard.errors import ConfigError, DataError, ModelError, shown

MAX_BYTES = 8 * 2**30
"""The largest file of a saved model: 2,000 million numbers in float32."""
MAX_TEXT_BYTES = 32 * 2**20
"""The largest file of JSON or text of a saved model, several times what a large vocabulary takes; as JSON it may take
some 25 times as much memory."""


def check_suffix(path: Path, allowed: Iterable[str]) -> str:
    """The suffix of ``path`` in lower case.

    Raises:
        ConfigError: it is none of ``allowed``.
    """
    suffix, choices = path.suffix.lower(), list(allowed)
    if suffix not in choices:
        raise ConfigError(
            f"{path}: a result cannot be saved as {suffix or 'a file without a suffix'}", allowed=", ".join(choices)
        )
    return suffix


@contextmanager
def replacing(path: Path, *, alone: bool = False) -> Iterator[Path]:
    """A name to write a file under, which takes the place of ``path`` when it is written and synced.

    Args:
        path: the file; whatever fails, what stood there is still there.
        alone: the caller keeps other writers out, with a lock; then what a killed one left is written over.
    """
    temporary = path.with_name(f".{path.name}.part" if alone else f".regard-{secrets.token_hex(6)}.part")
    try:
        yield temporary
        put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def put_in_place(written: Path, path: Path) -> None:
    """Bring a file that is complete to the disk, and give it its name."""
    _sync_file(written)
    written.replace(path)


def write_file(path: Path, content: bytes) -> Path:
    """Write a file that is whole or absent; missing folders are made.

    Raises:
        DataError: the folder or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise DataError(f"{path}: cannot be written ({reason})", remedy="choose another place") from None
    return path


CACHE_VARIABLE = "REGARD_CACHE"


def cache_folder() -> Path:
    """Where what can be made or fetched again is kept: ``$REGARD_CACHE``, else ``~/.cache/regard``."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path.home() / ".cache" / "regard"


def check_regular(path: Path, *, most: int) -> None:
    """Refuse to open what is no regular file of a saved model: reading a pipe may never end, nor may a device.

    Args:
        path: a file, or a link to one.
        most: how many bytes it may have.

    Raises:
        ModelError: it is missing, no regular file, or larger.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{path}: no such file", remedy="the folder is not a complete model") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise ModelError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{path}: is no regular file")
    if status.st_size > most:
        raise ModelError(f"{path}: has {status.st_size:,} bytes", allowed=f"up to {most:,}")


def read_text_file(path: Path, *, most: int = MAX_TEXT_BYTES) -> str:
    """The text of a file of a saved model, in UTF-8.

    Raises:
        ModelError: it is missing, no regular file, larger than ``most`` bytes or not UTF-8.
    """
    check_regular(path, most=most)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read ({error!s:.200})") from None


def read_json_file(path: Path, *, versions: Sequence[int]) -> dict[str, Any]:
    """Read a mapping with a known ``version`` from ``path``.

    Raises:
        ModelError: the file is missing, no regular file, not JSON in UTF-8, or too large; or it holds no mapping, or
            has a version not in ``versions``.
    """
    try:
        values = json.loads(read_text_file(path))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read ({error!s:.200})") from None
    if not isinstance(values, dict):
        raise ModelError(f"{path}: holds no JSON object")
    if values.get("version") not in versions or isinstance(values["version"], bool):
        allowed = ", ".join(str(version) for version in versions)
        raise ModelError(
            f"{path}: has version {shown(values.get('version'))}", allowed=allowed, remedy="a newer regard may read it"
        )
    return values


def write_json_file(path: Path, values: Mapping[str, Any]) -> None:
    """Write ``values`` as UTF-8 JSON, the same bytes for the same values; an ``OSError`` passes through."""
    text = json.dumps(values, ensure_ascii=False, indent=1) + "\n"
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def lock(file: IO[Any], *, wait: bool = False, shared: bool = False) -> bool:
    """Keep other processes out of what an open file stands for; the lock goes when the file is closed.

    However a process ends, its locks end with it. Windows has no such lock: there, every process is let in.

    Args:
        file: opened for writing.
        wait: wait for a process that holds the lock.
        shared: let others in that ask for a shared lock, too.

    Returns:
        False where another process holds the lock.
    """
    if sys.platform != "win32":
        import fcntl

        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(file, kind | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
    return True


_kept: set[Path] = set()


def keep_until_exit(folder: Path) -> None:
    """Keep what lies in a folder of the cache from being deleted (:mod:`regard.cache`) until this process ends.

    A folder that cannot be written has no lock: whoever can delete there is asked to know.
    """
    if folder in _kept:
        return
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("ab")
        atexit.register(file.close)
        lock(file, wait=True, shared=True)
        _kept.add(folder)


@contextmanager
def new_folder(folder: Path, *, remedy: str = "make room, or choose another folder") -> Iterator[Path]:
    """A folder to write into that takes the place of ``folder``, if any, when all is written and synced.

    Args:
        folder: what is to be written.
        remedy: what to do where it cannot be.

    Raises:
        ModelError: something cannot be written.
    """
    temporary = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        _sync_folder(temporary)
        _swap(temporary, folder)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{folder}: cannot be written ({error})", remedy=remedy) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def resolve_folder(folder: Path) -> Path:
    """Where the folder stands that was last written whole as ``folder`` by :func:`new_folder`."""
    former = _former(folder) if folder.name else folder
    return former if not folder.exists() and former.exists() else folder


def _sync_folder(folder: Path) -> None:
    """Bring all files of a folder to the disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            _sync_file(path)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _former(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _swap(new: Path, folder: Path) -> None:
    """Put ``new`` where ``folder`` is.

    A full folder cannot be replaced in one move; a kill between the two moves leaves the former one under a name that
    :func:`resolve_folder` knows.
    """
    former = _former(folder)
    if folder.exists():
        shutil.rmtree(former, ignore_errors=True)
        folder.rename(former)
    new.rename(folder)
    shutil.rmtree(former, ignore_errors=True)
