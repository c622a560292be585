"""Reading a text file line by line, the way the formats of this package count lines."""

from __future__ import annotations

import codecs
from pathlib import Path

from regard.errors import DataError


def read_lines(path: Path) -> list[str]:
    r"""The lines of a UTF-8 file, without their ends.

    A line ends at ``\n`` or ``\r\n`` and nowhere else: Unicode knows more line ends, but a file with one sentence a
    line may hold them inside a sentence, and the two sides of parallel data would drift apart. A byte order mark is
    dropped, and an end of line at the end of the file begins no further line.

    Raises:
        DataError: the file is missing or is not UTF-8; then the message names the line and the byte.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    lines = data.removeprefix(codecs.BOM_UTF8).split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return [decode_line(line.removesuffix(b"\r"), path=path, number=i) for i, line in enumerate(lines, start=1)]


def decode_line(line: bytes, *, path: Path | str, number: int) -> str:
    """One line as text.

    Raises:
        DataError: the line is not UTF-8; the message names the file, the line and the byte in it.
    """
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: line {number} is not UTF-8 (byte {error.start + 1} of the line is 0x{line[error.start]:02x})",
            remedy="convert the file to UTF-8",
        ) from None
