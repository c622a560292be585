"""Whether an image file is complete, judged by its first and last bytes where its format allows that.

A copy that broke off lacks its end: the end marker of a JPEG, the last chunk of a PNG, or bytes that a header promises.
What these do not settle is decoded in full.
"""

from __future__ import annotations

from pathlib import Path

from regard.data.images import load_image
from regard.errors import ImageError

_TAIL = 64
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


def why_unreadable(path: Path, *, decode: bool = False) -> str:
    """Why an image cannot be used; empty where it can.

    Args:
        path: the file.
        decode: decode it in any case, which finds damage in its middle too.
    """
    try:
        if not decode and _has_its_end(path):
            return ""
        load_image(path)
    except ImageError as error:
        return error.reason
    return ""


def _has_its_end(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(16)
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            tail = file.read()
    except OSError:
        return False
    if head.startswith(_JPEG):
        return tail.rstrip(b"\0").endswith(_JPEG_END)
    if head.startswith(_PNG):
        return tail.endswith(_PNG_END)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return size >= 8 + int.from_bytes(head[4:8], "little")
    if head.startswith(b"BM"):
        return size >= int.from_bytes(head[2:6], "little") > 0
    return False
