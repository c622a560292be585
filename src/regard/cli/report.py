"""Output of commands: results on standard output, as lines or as JSON; errors on standard error."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Sequence
from typing import Any

import typer

from regard.cli.streams import as_shown, escape_line_ends


def echo(line: str) -> None:
    """One line of a result; ends of lines in it, as a file name may hold, become spaces."""
    typer.echo(as_shown(one_line(line), sys.stdout))


def echo_json(value: Any) -> None:
    """One result as one line of JSON; where standard output is not UTF-8, with everything beyond ASCII escaped."""
    typer.echo(as_shown(json_line(value, ascii_only=codecs.lookup(sys.stdout.encoding).name != "utf-8"), sys.stdout))


def json_line(value: Any, *, ascii_only: bool = False) -> str:
    """JSON on one line, whatever the reader takes for the end of a line: U+2028, U+2029 and U+0085 are escaped."""
    return escape_line_ends(json.dumps(value, ensure_ascii=ascii_only, allow_nan=False))


def one_line(text: str) -> str:
    """The text with spaces for the ends of lines in it."""
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")


def echo_error(message: object) -> None:
    """One line on standard error that begins with ``error:``."""
    typer.echo("error: " + as_shown(" ".join(str(message).split()), sys.stderr), err=True)


def echo_note(message: str) -> None:
    """One line on standard error about how the work goes, which is no part of the result."""
    typer.echo(as_shown(message, sys.stderr), err=True)


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines in which the columns of ``rows`` stand under each other, two spaces apart."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
