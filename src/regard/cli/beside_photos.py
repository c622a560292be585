"""``regard caption --sidecar`` and ``--metadata``: captions where programs for photos look for them.

A sidecar is ``photo.txt`` beside ``photo.jpg``. Metadata go into a copy of the photo, in another folder, at the same
place below it; the photo itself is never touched. A file that is there and says something else is left alone unless
the user says otherwise.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from regard.errors import ConfigError, DataError, ImageError
from regard.files import write_file


class BesidePhotos:
    """Writes captions beside photos, or into copies of them.

    Args:
        photos: all photos; their place below the folder that they have in common is that of their copies.
        sidecar: write ``photo.txt`` beside each.
        metadata: the folder of the copies; None for none.
        overwrite: write over files that say something else.

    Raises:
        ConfigError: there is no such folder, or two photos would have the same sidecar.
    """

    def __init__(
        self, photos: Sequence[str], *, sidecar: bool = False, metadata: Path | None = None, overwrite: bool = False
    ) -> None:
        if metadata is not None and metadata.exists() and not metadata.is_dir():
            raise ConfigError(f"--metadata {metadata}: is no folder")
        self._sidecar, self._metadata, self._overwrite = sidecar, metadata, overwrite
        self._common = _common_folder(photos)
        if sidecar:
            _require_own_sidecars(photos)

    def write(self, photo: str, text: str) -> ImageError | None:
        """Write one caption wherever it is wanted; returns what went wrong."""
        try:
            if self._sidecar:
                self._put(_sidecar_of(photo), f"{text}\n".encode())
            if self._metadata is not None:
                self._copy(Path(photo), self._metadata, text)
        except DataError as error:
            return ImageError(photo, error.given, allowed=error.allowed, remedy=error.remedy)
        except OSError as error:  # what is there cannot be read, or is a folder
            return ImageError(photo, f"its caption cannot be written ({error.strerror})")
        return None

    def _copy(self, photo: Path, folder: Path, text: str) -> None:
        from regard.data.photo_metadata import with_description

        place = _absolute(photo)
        assert place.is_relative_to(self._common), f"{photo} lies below {self._common}, which all photos share"
        copy = folder / place.relative_to(self._common)
        if copy.exists() and copy.samefile(photo):
            raise DataError("would be written over by its own copy", remedy="give another folder with --metadata")
        self._put(copy, with_description(photo.read_bytes(), text))
        shutil.copystat(photo, copy)

    def _put(self, path: Path, content: bytes) -> None:
        if path.exists() and not self._overwrite and path.read_bytes() != content:
            raise DataError(f"{path} is there and says something else", remedy="--overwrite writes over it")
        write_file(path, content)


def _sidecar_of(photo: str | Path) -> Path:
    return Path(photo).with_suffix(".txt")


def _require_own_sidecars(photos: Sequence[str]) -> None:
    owners: dict[Path, Path] = {}
    for photo in map(_absolute, photos):
        sidecar = _sidecar_of(photo)
        other = owners.setdefault(sidecar, photo)
        if other != photo:
            raise ConfigError(
                f"--sidecar: {other} and {photo} would both have their caption in {sidecar.name}",
                remedy="caption one of them, or write to a file with --output",
            )


def _common_folder(photos: Sequence[str]) -> Path:
    """The deepest folder below which all photos lie."""
    folders = [_absolute(photo).parent for photo in photos]
    return Path(os.path.commonpath(folders)) if folders else Path("/")


def _absolute(photo: str | Path) -> Path:
    """The path without ``..``, which would lead a copy out of its folder."""
    return Path(os.path.abspath(photo))  # noqa: PTH100 - pathlib's keeps "..", or follows links
