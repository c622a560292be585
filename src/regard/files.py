"""Files and folders that are whole or absent, however their writing ends, and the folder of what runs share.

Each is written under a temporary name, synced and renamed.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from regard.errors import ConfigError, DataError, ModelError


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


def write_file(path: Path, content: bytes) -> Path:
    """Write ``content`` under another name, flush it to the disk and rename it; missing folders are made.

    Raises:
        DataError: the folder or the file cannot be written.
    """
    unfinished = path.with_name(f".regard-{secrets.token_hex(6)}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise DataError(f"{path}: cannot be written ({reason})", remedy="choose another place") from None
    return path


CACHE_VARIABLE = "REGARD_CACHE"


def cache_folder() -> Path:
    """Where what can be made or fetched again is kept: ``$REGARD_CACHE``, else ``~/.cache/regard``."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path.home() / ".cache" / "regard"


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
        _sync(temporary)
        _swap(temporary, folder)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{folder}: cannot be written ({error})", remedy=remedy) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def standing(folder: Path) -> Path:
    """Where the folder stands that was last written whole as ``folder`` by :func:`new_folder`."""
    former = _former(folder) if folder.name else folder
    return former if not folder.exists() and former.exists() else folder


def _sync(folder: Path) -> None:
    """Bring all files of a folder to the disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _former(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _swap(new: Path, folder: Path) -> None:
    """Put ``new`` where ``folder`` is.

    A full folder cannot be replaced in one move; a kill between the two moves leaves the former one under a name that
    :func:`standing` knows.
    """
    former = _former(folder)
    if folder.exists():
        shutil.rmtree(former, ignore_errors=True)
        folder.rename(former)
    new.rename(folder)
    shutil.rmtree(former, ignore_errors=True)
