"""Reading a text file line by line, the way the formats of this package count lines."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path

from regard.errors import DataError, TextError


def read_lines(path: Path) -> list[str]:
    r"""The lines of a UTF-8 file, without their ends.

    A line ends at ``\n`` or ``\r\n`` and nowhere else: Unicode knows more line ends, but a file with one sentence a
    line may hold them inside a sentence, and the two sides of parallel data would drift apart. A byte order mark is
    dropped, and an end of line at the end of the file begins no further line. Empty lines are lines.

    Raises:
        DataError: the file is missing or is not UTF-8; then the message names the line and the byte.
    """
    return list(iterate_lines(path))


def iterate_lines(path: Path) -> Iterator[str]:
    """:func:`read_lines` one line at a time, for files that are larger than memory."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(decode_lines(file, origin=str(path)), start=1):
                if isinstance(line, TextError):
                    raise DataError(f"{path}: line {number} {line.given}", remedy="convert the file to UTF-8")
                yield line
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def count_lines(path: Path) -> int:
    """How many lines :func:`iterate_lines` will give; it reads the whole file, so that what is wrong shows early.

    Raises:
        DataError: as :func:`read_lines`.
    """
    return sum(1 for _ in iterate_lines(path))


def decode_lines(lines: Iterable[bytes], *, origin: str) -> Iterator[str | TextError]:
    """Lines as :func:`read_lines` gives them; for one that is not UTF-8, the error in its place.

    Args:
        lines: with their ends, as a binary file gives them.
        origin: what they come from, for messages.

    Raises:
        DataError: they are UTF-16, so that none of them could be read.
    """
    for number, line in enumerate(lines, start=1):
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        if number == 1:
            if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise DataError(f"{origin}: is UTF-16", remedy="convert it to UTF-8")
            line = line.removeprefix(codecs.BOM_UTF8)
        try:
            text: str | TextError = line.decode("utf-8")
        except UnicodeDecodeError as error:
            text = TextError(f"is not UTF-8 ({_other_encoding(line, error.start)})", remedy="save it as UTF-8")
        yield text


def _other_encoding(line: bytes, place: int) -> str:
    """What stands at a byte that is not UTF-8, and which letter that would be in Latin-1."""
    letter = line[place : place + 1].decode("latin-1")
    reading = f", {letter!r} in Latin-1" if letter.isalpha() else ""
    return f"byte {place + 1} of the line is 0x{line[place]:02x}{reading}"
