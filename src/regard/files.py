"""Folders that are whole or absent, however their writing ends.

A folder is written under a temporary name, synced and renamed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from regard.errors import ModelError


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
