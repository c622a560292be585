"""Captioned images in a table: CSV, TSV, JSON lines, a JSON list or Parquet, with the columns found by looking.

    captions.txt    Kaggle's Flickr8k: a first line "image,caption", a caption a row, beside Images/
    results.csv     Kaggle's Flickr30k: "image_name| comment_number| comment"
    train.csv       any table with a column of image names and one or more of captions; other splits in other tables,
                    or named in a column "split"
    train.parquet   likewise; where the images are in the table too, they are unpacked once into the cache

A cell may hold several captions as a JSON list. A table without names of columns has those that look like image names
in one column, and the captions in the one with the longest texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from regard.data.captioned import CaptionRow
from regard.data.image_index import ImageIndex, is_image_name
from regard.data.problems import Problem
from regard.data.readers.base import CaptionFormat, manifests
from regard.data.splits import split_named_in
from regard.data.tables import TABLE_SUFFIXES, Row, read_table, sample_rows
from regard.data.unpacked import Unpacked

_IMAGE = re.compile(
    r"(image|img|photo|picture|file)?_?(file_?)?(name|path|id)?|image|img|photo|picture|file|jpg|png|bild|foto"
)
_CAPTION = re.compile(
    r"(captions?|comments?|texts?|descriptions?|sentences?|raw|titles?|alt|alt_text|txt|answers?)_?\d*"
)
_SPLIT = frozenset(["split", "set", "subset", "partition", "fold"])
_BROKEN_NUMBER = re.compile(r"\s*(\d+)\s+(\S.*)", re.DOTALL)
_FOLDERS = ("Images", "images", "flickr30k_images")


class Table(CaptionFormat):
    """A row for each caption, or for each image."""

    name: ClassVar[str] = "table"
    layout: ClassVar[str] = "a table (CSV, TSV, JSONL, Parquet) with a column of image names and one of captions"

    def recognises(self, path: Path) -> bool:
        return bool(_tables(path))

    def rows(self, path: Path) -> Iterator[CaptionRow | Problem]:
        tables = _tables(path)
        splits = {file: split_named_in(file.stem) for file in tables}
        for file, columns in tables.items():
            yield from _captions(file, columns, splits[file])

    def images(self, path: Path) -> ImageIndex:
        folder = path if path.is_dir() else path.parent
        unpacked = [Unpacked(file).folder for file in _tables(path) if file.suffix.lower() == ".parquet"]
        return ImageIndex(folder, *unpacked, *(folder / name for name in _FOLDERS))


@dataclass(frozen=True)
class _Columns:
    """Which columns of a table hold what."""

    image: str
    captions: tuple[str, ...]
    split: str | None = None


def is_caption_header(cells: Sequence[str]) -> bool:
    """Whether cells name columns of images and captions."""
    names = [_plain(cell) for cell in cells]
    return any(map(_names_images, names)) and any(_CAPTION.fullmatch(name) for name in names)


def _tables(path: Path) -> dict[Path, _Columns]:
    """The tables of captions in a folder, or in the folders in it where it has none itself."""
    files = manifests(path, (*TABLE_SUFFIXES, ".ndjson", ".txt"))
    found = {file: columns for file in files if (columns := _find_columns(file)) is not None}
    own = {file: columns for file, columns in found.items() if file.parent == path}
    return own or found


def _find_columns(file: Path) -> _Columns | None:
    rows = sample_rows(file, is_caption_header)
    if not rows:
        return None
    by_name = {_plain(name): name for name in rows[0].cells}
    captions = tuple(name for plain, name in by_name.items() if _CAPTION.fullmatch(plain))
    images = [name for plain, name in by_name.items() if _names_images(plain) and name not in captions]
    if file.suffix.lower() == ".txt" and not (captions and images) and not _mostly_images(rows, "1"):
        return None
    image = next((name for name in images if _mostly_images(rows, name)), None) or next(
        (name for name in rows[0].cells if _mostly_images(rows, name)), images[0] if captions and images else None
    )
    if image is None:
        return None
    texts = [name for name in rows[0].cells if name != image and isinstance(rows[0].cells[name], str)]
    captions = captions or tuple(sorted(texts, key=lambda name: -_mean_length(rows, name))[:1])
    split = next((name for plain, name in by_name.items() if plain in _SPLIT), None)
    return _Columns(image, captions, split) if captions else None


def _plain(name: object) -> str:
    return re.sub(r"[\s.-]+", "_", str(name).strip().lower())


def _names_images(plain: str) -> bool:
    return bool(plain) and _IMAGE.fullmatch(plain) is not None and plain not in ("name", "id")


def _mostly_images(rows: Sequence[Row], column: str) -> bool:
    cells = [row.cells.get(column) for row in rows]
    return sum(_is_image(cell) for cell in cells) > len(cells) / 2


def _is_image(cell: object) -> bool:
    return (isinstance(cell, str) and is_image_name(cell)) or _image_bytes(cell) is not None


def _image_bytes(cell: object) -> bytes | None:
    """The picture that a cell of a Parquet table holds, by itself or beside its path."""
    value = cell.get("bytes") if isinstance(cell, Mapping) else cell
    return value if isinstance(value, bytes) else None


def _mean_length(rows: Sequence[Row], column: str) -> float:
    return sum(len(str(row.cells.get(column, ""))) for row in rows) / len(rows)


def _captions(file: Path, columns: _Columns, split: str) -> Iterator[CaptionRow | Problem]:
    with Unpacked(file).filled() as unpacked:
        for row in read_table(file, is_caption_header):
            if isinstance(row, Problem):
                yield row
                continue
            name = _image_name(row, columns, unpacked)
            texts = _texts(row, columns)
            if not name:
                yield Problem(str(file), "names no image", line=row.line, remedy="complete the row, or delete it")
            elif not texts:
                yield Problem(str(file), "holds no caption", line=row.line, remedy="complete the row, or delete it")
            own = row.cells.get(columns.split) if columns.split else None
            named = own.strip() if isinstance(own, str) and own.strip() else split
            yield from (CaptionRow(name, text, str(file), row.line, named) for text in texts if name)


def _image_name(row: Row, columns: _Columns, unpacked: Unpacked) -> str:
    cell = row.cells.get(columns.image)
    data = _image_bytes(cell)
    if data is not None:
        path = cell.get("path") if isinstance(cell, Mapping) else None
        return unpacked.add(row.line, path if isinstance(path, str) else "", data)
    if isinstance(cell, int):
        return str(cell)
    # a number of the caption may be part of the name, as in Flickr8k
    return re.sub(r"#\d+$", "", cell.strip()) if isinstance(cell, str) else ""


def _texts(row: Row, columns: _Columns) -> list[str]:
    texts = [text for name in columns.captions for text in _many(row.cells.get(name))]
    if row.beyond and texts and columns.captions[-1] == list(row.cells)[-1]:
        # commas in a caption that nobody quoted
        texts[-1] = row.delimiter.join([texts[-1], *row.beyond])
    if not texts and columns.captions[-1] not in row.cells and (cells := list(row.cells.values())):
        # Flickr30k's row whose number and comment nobody parted
        broken = _BROKEN_NUMBER.fullmatch(cells[-1]) if len(cells) > 1 and isinstance(cells[-1], str) else None
        texts = [broken[2]] if broken else []
    return texts


def _many(cell: Any) -> list[str]:
    """The captions of a cell: a text, a list of texts or of objects with one, or a list written as JSON."""
    if isinstance(cell, str):
        return _listed(cell) or [cell.strip()]
    if isinstance(cell, list):
        return [text for each in cell for text in _many(each)]
    if isinstance(cell, Mapping):
        return [text for key in cell if _CAPTION.fullmatch(_plain(key)) for text in _many(cell[key])][:1]
    return []


def _listed(cell: str) -> list[str]:
    if not (cell.lstrip().startswith("[") and cell.rstrip().endswith("]")):
        return []
    try:
        values = json.loads(cell)
    except (ValueError, RecursionError):
        return []
    return [each for each in values if isinstance(each, str)] if isinstance(values, list) else []
