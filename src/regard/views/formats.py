"""Writing a result to a file: the suffix says how, and a file is either whole or absent."""

from __future__ import annotations

import io
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from regard.errors import ConfigError, DataError


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


def write_whole(path: Path, content: bytes) -> Path:
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


def png_bytes(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def json_bytes(value: Any) -> bytes:
    """One line of JSON in UTF-8; a lone surrogate, which a file name may hold, becomes its JSON escape."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode("utf-8", "backslashreplace")
