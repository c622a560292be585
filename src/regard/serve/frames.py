"""What travels between the service and its model processes: a JSON header and bytes, nothing that is executed.

frame = length of the header (4 bytes, big-endian) + header + bytes, whose number the header has as ``size``
"""

from __future__ import annotations

import asyncio
import json
import struct
from typing import IO, Any

Header = dict[str, Any]
_LENGTH = struct.Struct(">I")


def pack_frame(header: Header, payload: bytes = b"") -> bytes:
    """One frame."""
    text = json.dumps({**header, "size": len(payload)}).encode()
    return b"".join((_LENGTH.pack(len(text)), text, payload))


def read_frame(pipe: IO[bytes]) -> tuple[Header, bytes] | None:
    """The next frame; None where the other side has gone."""
    try:
        (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
        header: Header = json.loads(_exactly(pipe, length))
        return header, _exactly(pipe, header["size"])
    except EOFError:
        return None


async def receive_frame(reader: asyncio.StreamReader) -> tuple[Header, bytes]:
    """The next frame.

    Raises:
        asyncio.IncompleteReadError: the other side has gone.
    """
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    header: Header = json.loads(await reader.readexactly(length))
    return header, await reader.readexactly(header["size"])


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    content = pipe.read(count)
    if len(content) < count:
        raise EOFError
    return content
