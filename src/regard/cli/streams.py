"""The standard streams as a command finds them: closed, full, or a terminal that obeys what is written to it.

A process may be started without any of them (``regard … >&-``). Then files that are opened later would take their
numbers, and Python has None in their places. So closed ones are led to nowhere first; a command that has something to
say or to read there ends with one line.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import warnings
from typing import NoReturn, TextIO, cast

from regard.errors import DataError

# C0 and C1 controls but the tabulator, marks of direction that reorder what is read, separators of lines, fillers that
# are seen as nothing and say what is to be made of their neighbours
_UNSEEN = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_ENDS_OF_LINES = str.maketrans({code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)})


class _Closed(io.TextIOBase):
    """In the place of a standard stream that is closed: using it raises an error that says so."""

    encoding = "utf-8"

    def __init__(self, name: str, remedy: str) -> None:
        self._name, self._remedy = name, remedy

    @property
    def buffer(self) -> NoReturn:
        raise DataError(f"{self._name} is closed", remedy=self._remedy)

    def write(self, text: str) -> int:
        raise DataError(f"{self._name} is closed", remedy=self._remedy)


def open_closed_streams() -> None:
    """Put something in the place of standard streams that are closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the lowest number that is free is what the system gives next
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = cast("TextIO", _Closed("standard input", "give texts on the command line, or --file"))
    if sys.stdout is None:
        sys.stdout = cast("TextIO", _Closed("standard output", "send it to a file or to /dev/null"))
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - as long as the process


def as_shown(text: str, stream: TextIO | None) -> str:
    r"""The text as it is written to ``stream``: on a terminal, what it would obey instead of showing is escaped, such
    as ESC as ``\x1b``."""
    if stream is None or not stream.isatty():
        return text
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def escape_line_ends(json_text: str) -> str:
    """JSON with escapes for what some programs take for the end of a line, or terminals for a command."""
    return json_text.translate(_ENDS_OF_LINES)


def silence_libraries() -> None:
    """Keep what libraries warn of and log from the user, in this process, unless Python was asked for it (``-W``)."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    # without any handler, logging prints warnings and worse on standard error
    logging.getLogger().addHandler(logging.NullHandler())
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
