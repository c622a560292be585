"""Tables as people have them: CSV and TSV from spreadsheets, JSON lines, lists in JSON, Parquet.

A table is read row by row, each with its line, and a row that cannot be read is a problem in its place. The first line
of a CSV or TSV file names the columns if it looks like names; else columns are called ``1``, ``2`` and so on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from regard.data.lines import decode_lines
from regard.data.problems import Problem
from regard.errors import DataError, DependencyError, TextError

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
SAMPLE = 20
"""How many lines of a table are looked at to learn how it is written."""
LONGEST_RECORD = 50
"""How many lines one row may have. A quotation mark that is never closed would make one row of a whole file."""

_DELIMITERS = "\t,;|"
_UNCLOSED = Problem("", "opens a quotation mark that is never closed", remedy="close it, or double it within a cell")

IsHeader = Callable[[Sequence[str]], bool]


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        line: where it begins, counted from 1.
        cells: what stands under each column.
        beyond: cells that no column of the header stands over.
        delimiter: what parts cells; empty where nothing does.
    """

    line: int
    cells: Mapping[str, Any]
    beyond: tuple[str, ...] = ()
    delimiter: str = ""


def read_table(path: Path, is_header: IsHeader) -> Iterator[Row | Problem]:
    """The rows of a table, by the suffix of its name; any other than those of :data:`TABLE_SUFFIXES` is read as CSV.

    Args:
        path: the file.
        is_header: whether the cells of a first line are names of columns.

    Raises:
        DependencyError: Parquet without the package ``pyarrow``.
    """
    readers = {".jsonl": _json_lines, ".ndjson": _json_lines, ".json": _json_list, ".parquet": _parquet}
    read = readers.get(path.suffix.lower())
    yield from _delimited(path, is_header) if read is None else read(path)


def sample_rows(path: Path, is_header: IsHeader) -> list[Row]:
    """The first rows of a table that can be read.

    Raises:
        DependencyError: as :func:`read_table`.
    """
    return list(
        islice((row for row in islice(read_table(path, is_header), 3 * SAMPLE) if isinstance(row, Row)), SAMPLE)
    )


def numbered_lines(path: Path) -> Iterator[tuple[int, str] | Problem]:
    """The lines of a text file, each with its number; one that cannot be read is a problem in its place."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(decode_lines(file, origin=str(path)), start=1):
                if isinstance(line, TextError):
                    yield Problem(str(path), line.given, line=number, remedy=line.remedy)
                else:
                    yield number, line
    except DataError as error:
        yield Problem(str(path), error.given.removeprefix(f"{path}: "), remedy=error.remedy)
    except OSError as error:
        yield Problem(str(path), f"cannot be read ({error.strerror or error})")


def _delimited(path: Path, is_header: IsHeader) -> Iterator[Row | Problem]:
    lines = numbered_lines(path)
    first = list(islice(lines, SAMPLE))
    texts = [line[1] for line in first if not isinstance(line, Problem) and line[1].strip()]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _sniff(texts)
    header: list[str] | None = None
    begun = False
    for record in _records(chain(first, lines), delimiter):
        if isinstance(record, Problem):
            yield Problem(str(path), record.reason, line=record.line, remedy=record.remedy)
            continue
        line, cells = record
        if not begun and is_header(cells):
            header = [cell.strip() for cell in cells]
        else:
            yield _row(line, cells, header, delimiter)
        begun = True


def _row(line: int, cells: list[str], header: list[str] | None, delimiter: str) -> Row:
    names = header if header is not None else [str(number) for number in range(1, len(cells) + 1)]
    named = {name: cell for name, cell in zip(names, cells, strict=False) if name}
    return Row(line, named, tuple(cells[len(names) :]), delimiter)


def _sniff(lines: Sequence[str]) -> str:
    """What parts the cells of most lines; where two do, the one that the first line has more of."""
    counts = {each: sum(each in line for line in lines) for each in _DELIMITERS}
    most = max(counts.values(), default=0)
    likely = [each for each, count in counts.items() if count == most]
    return max(likely, key=lambda each: (each in "\t|", lines[0].count(each))) if lines else ","


def _records(lines: Iterable[tuple[int, str] | Problem], delimiter: str) -> Iterator[tuple[int, list[str]] | Problem]:
    """The cells of each row, blank lines left out; a quoted cell may reach over several lines."""
    waiting = iter(lines)
    again: list[tuple[int, str] | Problem] = []
    while (line := again.pop(0) if again else next(waiting, None)) is not None:
        if isinstance(line, Problem):
            yield line
            continue
        number, text = line
        if not text.strip():
            continue
        cells = _cells(text, delimiter)
        taken: list[tuple[int, str] | Problem] = []
        while cells is None and len(taken) < LONGEST_RECORD:
            more = again.pop(0) if again else next(waiting, None)
            if more is None:
                break
            taken.append(more)
            if isinstance(more, Problem):
                break
            text += "\n" + more[1]
            cells = _cells(text, delimiter) if '"' in more[1] else None
        if cells is None:
            again = taken + again
            yield Problem("", _UNCLOSED.reason, line=number, remedy=_UNCLOSED.remedy)
        else:
            yield number, cells


def _cells(text: str, delimiter: str) -> list[str] | None:
    """The cells of one row; None where the last one is quoted and not yet closed.

    A quotation mark means something only where it begins a cell and its like ends it. Cells parted by tabs are seldom
    quoted, and the marks in them then stand for themselves unless they can only be a spreadsheet's.
    """
    if '"' not in text:
        return text.split(delimiter)
    if delimiter == "\t":
        return [_spreadsheet_cell(cell) for cell in text.split("\t")]
    escaped = re.escape(delimiter)
    quoted = re.compile(rf'[ ]*"((?:[^"]|"")*+)"[ ]*(?={escaped}|\Z)')
    cells, place = [], 0
    while True:
        if found := quoted.match(text, place):
            cells.append(found[1].replace('""', '"'))
            place = found.end()
        elif re.compile(r'[ ]*"(?:[^"]|"")*+\Z').match(text, place):
            return None
        else:
            end = text.find(delimiter, place)
            cells.append(text[place : len(text) if end < 0 else end])
            place = len(text) if end < 0 else end
        if place >= len(text):
            return cells
        place += len(delimiter)


def _spreadsheet_cell(cell: str) -> str:
    inner = cell[1:-1]
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '""' in inner and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if quoted else cell


def _json_lines(path: Path) -> Iterator[Row | Problem]:
    for line in numbered_lines(path):
        if isinstance(line, Problem):
            yield line
        elif line[1].strip():
            yield _object(parse_json(line[1]), str(path), *line)


def _json_list(path: Path) -> Iterator[Row | Problem]:
    """A list of objects, which count as lines; or one object of such a list."""
    values = read_json(path)
    if isinstance(values, Problem):
        yield values
        return
    if isinstance(values, dict):
        lists = [value for value in values.values() if isinstance(value, list) and value]
        values = lists[0] if len(lists) == 1 else values
    if not isinstance(values, list):
        yield Problem(str(path), "holds no list of objects")
        return
    for number, value in enumerate(values, start=1):
        yield _object(value, str(path), number, repr(value))


def _object(value: Any, file: str, line: int, text: str) -> Row | Problem:
    if isinstance(value, Problem):
        return Problem(file, f"{value.reason}: {text:.60}", line=line)
    if not isinstance(value, dict):
        return Problem(file, f"is no JSON object: {text:.60}", line=line)
    return Row(line, value)


def parse_json(text: str | bytes) -> Any:
    """What JSON says; what is none, or holds half a surrogate pair, is a problem."""
    try:
        value = json.loads(text)
        if (b"\\u" if isinstance(text, bytes) else "\\u") in text:  # type: ignore[operator]
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Problem("", "holds half a surrogate pair")
    except (ValueError, RecursionError):
        return Problem("", "is not JSON")
    return value


def read_json(path: Path) -> Any:
    """What a JSON file says; what cannot be read is a problem."""
    try:
        value = parse_json(path.read_bytes())
    except OSError as error:
        return Problem(str(path), f"cannot be read ({error.strerror})")
    return Problem(str(path), value.reason) if isinstance(value, Problem) else value


def _parquet(path: Path) -> Iterator[Row | Problem]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise DependencyError("pyarrow", extra="parquet", purpose=f"reading {path.name}") from None
    number = 0
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256):
                for cells in batch.to_pylist():
                    number += 1
                    yield Row(number, cells)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        yield Problem(str(path), f"is damaged or no Parquet file ({reason:.120})")
