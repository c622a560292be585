"""Images that lie inside another file, unpacked once into the cache."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from regard.errors import DataError
from regard.files import cache_folder, keep_until_exit

_UNSAFE = re.compile(r"[^\w.-]+")


class Unpacked:
    """The images of one file.

    Args:
        file: where they are; what is unpacked is known by its path, its size and the time of its last change.

    Attributes:
        folder: below which they lie.
    """

    def __init__(self, file: Path) -> None:
        self._stem = _UNSAFE.sub("_", file.stem)
        status = file.stat()
        key = f"{file.resolve()}:{status.st_size}:{status.st_mtime_ns}"
        self.folder = (
            cache_folder() / "unpacked" / hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        )

    @contextmanager
    def filled(self) -> Iterator[Unpacked]:
        """Add images within it.

        Raises:
            DataError: they cannot be written.
        """
        try:
            yield self
        except OSError as error:
            raise DataError(
                f"{self.folder}: images cannot be unpacked there ({error.strerror or error})",
                remedy="make room, or name another place with REGARD_CACHE",
            ) from None

    def add(self, number: int, name: str, data: bytes) -> str:
        """Write an image unless it is there, and return its path below :attr:`folder`.

        Args:
            number: of the image in the file, which makes its name its own.
            name: what the file calls it; may be empty.
            data: the image.
        """
        keep_until_exit(self.folder.parent)
        safe = f"{number:08}-{_UNSAFE.sub('_', Path(name).name)[-80:]}" if name else f"{number:08}.img"
        path = self.folder / self._stem / safe
        name = f"{self._stem}/{safe}"
        with suppress(FileNotFoundError):
            if path.stat().st_size == len(data):
                return name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{safe}.part")
        temporary.write_bytes(data)
        temporary.replace(path)
        return name
