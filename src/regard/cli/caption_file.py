"""``regard caption --output``: a row for every photo in one file, which goes on where it was stopped.

While rows are written they lie line by line in ``FILE.part`` (see :mod:`regard.cli.linefile`); a Parquet file is made
of these lines at the end. Photos are described in chunks that do not depend on where a command was stopped, so that the
same command ends in the same bytes however often that happened.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regard.cli.linefile import LineFile
from regard.cli.report import json_line
from regard.errors import ConfigError, DataError, DependencyError, ImageError
from regard.files import check_suffix, put_in_place

if TYPE_CHECKING:
    from regard.results import Caption, TranslatedCaption

    Described = Iterator[Caption | TranslatedCaption | ImageError]

SUFFIXES = (".jsonl", ".csv", ".tsv", ".txt", ".parquet")
CHUNK = 512
"""Photos that are described by one call, on this machine or on one of a Ray cluster."""
COLUMNS = ("path", "caption", "score", "error")
ROWS = 10_000
"""Rows of a Parquet file that are held together."""


class WeightsForm(StrEnum):
    """How the weights of words are written."""

    NUMBERS = "numbers"
    """Decimal numbers in JSON, none in other files."""
    FLOAT16 = "float16"
    """Packed, see :mod:`regard.packed_weights`."""


class CaptionFile:
    """The rows of one file.

    Args:
        path: the file; its suffix says what a row looks like: text alone, a table of :data:`COLUMNS`, or in JSON all
            that is known of a caption.
        weights: how the weights of words are written; None leaves them out.

    Raises:
        ConfigError: no captions, or no packed weights, can be written under this suffix.
        DependencyError: Parquet without the package ``pyarrow``.
    """

    def __init__(self, path: Path, *, weights: WeightsForm | None = WeightsForm.NUMBERS) -> None:
        self.path = path
        self._weights = weights
        self._suffix = check_suffix(path, SUFFIXES)
        if weights is WeightsForm.FLOAT16 and self._suffix not in (".jsonl", ".parquet"):
            raise ConfigError(f"{path}: holds no packed weights", allowed=".jsonl, .parquet")
        self._head = 1 if self._suffix in (".csv", ".tsv") else 0
        if self._suffix == ".parquet":
            _require_pyarrow(path)

    def num_described(self, lines: LineFile) -> int:
        """How many photos the lines so far are about."""
        if self._head and not lines.num_lines:
            lines.write(self._delimited(COLUMNS))
        return max(0, lines.num_lines - self._head)

    def write(self, lines: LineFile, path: str, result: Caption | TranslatedCaption | ImageError) -> None:
        """One more row."""
        if self._suffix == ".jsonl":
            lines.write_json(self._object(path, result))
        elif self._suffix == ".txt":
            lines.write("" if isinstance(result, ImageError) else result.text)
        else:
            lines.write(self._row(path, result))

    def finish(self, lines: LineFile) -> None:
        """Give the file its name.

        Raises:
            DataError: it cannot be written.
        """
        if self._suffix == ".parquet":
            lines.finish(partial(_to_parquet, packed=self._weights is WeightsForm.FLOAT16))
        else:
            lines.finish()

    def _row(self, path: str, result: Caption | TranslatedCaption | ImageError) -> str:
        if isinstance(result, ImageError):
            values: dict[str, Any] = dict(zip(COLUMNS, (path, None, None, result.reason), strict=True))
        else:
            values = dict(zip(COLUMNS, (path, result.text, round(_score(result), 4), None), strict=True))
            if self._weights is WeightsForm.FLOAT16:
                values |= _packed(result)
        if self._suffix == ".parquet":
            return json_line(values)
        return self._delimited(["" if value is None else str(value) for value in values.values()])

    def _delimited(self, cells: Sequence[str]) -> str:
        if self._suffix == ".tsv":
            return "\t".join(" ".join(cell.split()) for cell in cells)
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow([" ".join(cell.splitlines()) for cell in cells])
        return text.getvalue()

    def _object(self, path: str, result: Caption | TranslatedCaption | ImageError) -> dict[str, Any]:
        if isinstance(result, ImageError):
            return {"path": path, "error": result.reason}
        from regard.packed_weights import pack_json

        values = result.to_dict()
        for word in chain(values["words"], values.get("translation", {}).get("words", ())):
            weights = word.pop("weights", None)
            if weights is not None and self._weights is not None:
                word["weights"] = weights if self._weights is WeightsForm.NUMBERS else pack_json(weights)
        return values


def _packed(result: Caption | TranslatedCaption) -> dict[str, Any]:
    """The words of a caption and their weights, packed, with their shape, [words, rows, columns]."""
    import numpy as np

    from regard.packed_weights import pack_json

    weights = np.stack([word.weights for word in result.words]) if result.words else np.zeros((0, 0, 0))
    return {"words": [word.text for word in result.words], "shape": list(weights.shape), **pack_json(weights)}


def _score(result: Caption | TranslatedCaption) -> float:
    from regard.results import TranslatedCaption

    return result.translation.score if isinstance(result, TranslatedCaption) else result.score


def in_chunks(
    describe: Callable[[Sequence[Sequence[str]]], Described], paths: Sequence[str], *, done: int
) -> Iterator[tuple[str, Caption | TranslatedCaption | ImageError]]:
    """Each photo and what is said of it, behind those that are done.

    Args:
        describe: what is said of the photos of some chunks, in order.
        paths: all photos.
        done: how many of them have their row.
    """
    first = done - done % CHUNK
    chunks = [paths[start : start + CHUNK] for start in range(first, len(paths), CHUNK)]
    yield from islice(zip(paths[first:], describe(chunks), strict=True), done - first, None)


def _require_pyarrow(path: Path) -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise DependencyError("pyarrow", extra="parquet", purpose=f"writing {path.name}") from None


def _to_parquet(lines: Path, path: Path, *, packed: bool) -> None:
    """Make a Parquet file of lines of JSON, some rows at a time."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    text = pyarrow.string()
    columns: list[Any] = [("path", text), ("caption", text), ("score", pyarrow.float32()), ("error", text)]
    if packed:
        columns += [("words", pyarrow.list_(text)), ("shape", pyarrow.list_(pyarrow.int32()))]
        columns.append(("weights", pyarrow.binary()))
    schema = pyarrow.schema(columns)
    temporary = path.with_name(f".{path.name}.unfinished")
    try:
        with lines.open(encoding="utf-8") as file, ParquetWriter(temporary, schema) as writer:
            while rows := [_unpacked(json.loads(line)) for line in islice(file, ROWS)]:
                writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
        put_in_place(temporary, path)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(
            f"{path}: cannot be written ({error!s:.100})", remedy="make room; the same command goes on"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
    lines.unlink()


def _unpacked(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the bytes of its weights in the place of their base64."""
    return {**row, "weights": base64.b64decode(row["float16"])} if "float16" in row else dict(row)
