"""A caption inside a photo's file, where photo managers read it; the picture itself is copied byte by byte.

    XMP    dc:description, UTF-8       Adobe, XMP Specification, Part 1 (ISO 16684-1) and Part 3 for where it lies
    EXIF   ImageDescription, 0x010E    CIPA DC-008; UTF-8, which is ASCII for English captions

What a photo already tells of itself stays: other XMP properties, and everything in EXIF at its very place, since the
first directory is written anew behind the rest with one entry more.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from html import escape

from PIL import Image

from regard.errors import DataError

_SOI, _APP1 = b"\xff\xd8", 0xE1
_APP_SEGMENTS = range(0xE0, 0xF0)
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_LONGEST_SEGMENT = 65_533
_PNG, _XMP_KEYWORD = b"\x89PNG\r\n\x1a\n", b"XML:com.adobe.xmp\0\0\0\0\0"
_DESCRIPTION, _ASCII = 0x010E, 2
_EMPTY_TIFF = b"II*\0\x08\0\0\0" + bytes(6)
_VP8X, _HAS_XMP, _HAS_EXIF, _HAS_ALPHA = b"VP8X", 0x04, 0x08, 0x10
_PACKET = (
    "<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'>"
    "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
)


def with_description(photo: bytes, text: str) -> bytes:
    """The file of a photo with a description in its XMP and its EXIF, in the place of one that was there.

    Args:
        photo: a JPEG, PNG or WebP file.
        text: the description.

    Raises:
        DataError: it is none of these, or damaged.
    """
    try:
        if photo.startswith(_SOI):
            return _jpeg(photo, text)
        if photo.startswith(_PNG):
            return _png(photo, text)
        if photo[:4] == b"RIFF" and photo[8:12] == b"WEBP":
            return _webp(photo, text)
    except (struct.error, ValueError, IndexError, OSError) as error:
        raise DataError(f"its metadata are damaged ({error!s:.80})", remedy="use --sidecar for it") from None
    raise DataError("has no metadata for a caption", allowed="JPEG, PNG and WebP", remedy="use --sidecar for it")


def _xmp(packet: bytes, text: str) -> bytes:
    """An XMP packet with one more ``rdf:Description``, and without a former ``dc:description``."""
    old = packet.decode("utf-8", "ignore") if packet else _PACKET
    if "</rdf:RDF>" not in old:
        old = _PACKET
    old = re.sub(
        r"<dc:description\b(?:(?!<dc:description\b).)*?</dc:description>|\sdc:description=(\"[^\"]*\"|'[^']*')",
        "",
        old,
        flags=re.S,
    )
    about = re.search(r"rdf:about=(\"[^\"<]*\"|'[^'<]*')", old)
    added = (
        f"<rdf:Description rdf:about={about[1] if about else chr(34) * 2} xmlns:dc='http://purl.org/dc/elements/1.1/'>"
        f"<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>{escape(text)}</rdf:li></rdf:Alt></dc:description>"
        "</rdf:Description>"
    )
    before, end, behind = old.rpartition("</rdf:RDF>")
    return f"{before}{added}{end}{behind}".encode()


def _exif(tiff: bytes, text: str) -> bytes:
    """A TIFF block of EXIF whose first directory, copied to its end, has the description; all else stays in place."""
    tiff = tiff or _EMPTY_TIFF
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        raise ValueError("EXIF begins with no byte order")
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, first)
    places = range(first + 2, first + 2 + 12 * count, 12)
    entries = [tiff[place : place + 12] for place in places]
    (following,) = struct.unpack_from(f"{order}I", tiff, first + 2 + 12 * count)
    kept = [entry for entry in entries if struct.unpack(f"{order}H", entry[:2])[0] != _DESCRIPTION]
    tiff += bytes(len(tiff) % 2)
    value = text.encode() + b"\0"
    behind = len(tiff) + 2 + 12 * (len(kept) + 1) + 4
    # four bytes lie in the entry itself
    where = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(f"{order}I", behind)
    kept.append(struct.pack(f"{order}HHI", _DESCRIPTION, _ASCII, len(value)) + where)
    kept.sort(key=lambda entry: struct.unpack(f"{order}H", entry[:2])[0])
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + struct.pack(f"{order}I", following)
    return tiff[:4] + struct.pack(f"{order}I", len(tiff)) + tiff[8:] + directory + (value if len(value) > 4 else b"")


def _jpeg(photo: bytes, text: str) -> bytes:
    segments = list(_application_segments(photo))
    place = len(_SOI) + sum(len(content) + 4 for _, content in segments)
    exif = next((content for marker, content in segments if marker == _APP1 and content.startswith(_EXIF)), _EXIF)
    xmp = next((content for marker, content in segments if marker == _APP1 and content.startswith(_XMP)), _XMP)
    first = [(marker, content) for marker, content in segments if marker == _APP_SEGMENTS[0]]
    others = [each for each in segments if each not in first and each[1] not in (exif, xmp)]
    new_exif = _EXIF + _exif(exif[len(_EXIF) :], text)
    if len(new_exif) > _LONGEST_SEGMENT - 2:  # a large preview leaves no room: then XMP alone tells
        new_exif = exif
    new_xmp = _XMP + _xmp(xmp[len(_XMP) :], text)
    written = [*first, *([(_APP1, new_exif)] if new_exif != _EXIF else []), (_APP1, new_xmp), *others]
    return _SOI + b"".join(_segment(*each) for each in written) + photo[place:]


def _application_segments(photo: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of the application segments that a JPEG file begins with."""
    place = len(_SOI)
    while photo[place] == 0xFF and photo[place + 1] in _APP_SEGMENTS:
        (length,) = struct.unpack_from(">H", photo, place + 2)
        yield photo[place + 1], photo[place + 4 : place + 2 + length]
        place += 2 + length


def _segment(marker: int, content: bytes) -> bytes:
    if len(content) > _LONGEST_SEGMENT:
        raise ValueError("no room for more metadata")
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _png(photo: bytes, text: str) -> bytes:
    chunks = list(_png_chunks(photo))
    exif = next((content for kind, content in chunks if kind == b"eXIf"), b"")
    xmp = next((content for kind, content in chunks if kind == b"iTXt" and content.startswith(_XMP_KEYWORD)), b"")
    header, *others = [(kind, content) for kind, content in chunks if kind != b"eXIf" and (content != xmp or not xmp)]
    new = (b"eXIf", _exif(exif, text)), (b"iTXt", _XMP_KEYWORD + _xmp(xmp[len(_XMP_KEYWORD) :], text))
    return _PNG + b"".join(_png_chunk(*each) for each in (header, *new, *others))


def _png_chunks(photo: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_PNG)
    while place < len(photo):
        length, kind = struct.unpack_from(">I4s", photo, place)
        yield kind, photo[place + 8 : place + 8 + length]
        place += 12 + length


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _webp(photo: bytes, text: str) -> bytes:
    chunks = [each for each in _riff_chunks(photo) if each[0] != _VP8X]
    flags = next((content for kind, content in _riff_chunks(photo) if kind == _VP8X), None) or _extended(photo)
    exif = next((content for kind, content in chunks if kind == b"EXIF"), b"").removeprefix(_EXIF)
    xmp = next((content for kind, content in chunks if kind == b"XMP "), b"")
    others = [each for each in chunks if each[0] not in (b"EXIF", b"XMP ")]
    flags = bytes([flags[0] | _HAS_XMP | _HAS_EXIF]) + flags[1:]
    new = (b"EXIF", _exif(exif, text)), (b"XMP ", _xmp(xmp, text))
    body = b"WEBP" + b"".join(_riff_chunk(*each) for each in ((_VP8X, flags), *others, *new))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _extended(photo: bytes) -> bytes:
    """The header that a WebP file of a picture alone does without: flags and size."""
    with Image.open(io.BytesIO(photo)) as image:
        alpha = _HAS_ALPHA if "A" in image.mode else 0
        width, height = image.size
    return struct.pack("<I", alpha) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def _riff_chunks(photo: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place + 8 <= len(photo):
        kind, length = struct.unpack_from("<4sI", photo, place)
        yield kind, photo[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


def _riff_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
