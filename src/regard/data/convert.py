"""Captioned images and sentence pairs in another layout: any that is read into a few that everyone reads.

What cannot be used is left out, and what is written is read back by :mod:`regard.data.readers` to the same captions and
splits. Images are linked where the disk allows that, and else copied.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regard.data.collection import CaptionCollection
from regard.data.parallel import parallel_splits, read_columns
from regard.data.problems import Problem
from regard.data.readers import find_format, read_collection
from regard.data.readers.flickr8k import CAPTION_FILE, IMAGE_FOLDER
from regard.errors import DataError, DependencyError, unknown_name
from regard.files import new_folder

CAPTION_LAYOUTS = ("flickr8k", "coco", "csv", "parquet")
PAIR_LAYOUTS = ("csv", "parquet")

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Conversion:
    """What was written.

    Attributes:
        folder: where.
        counts: images or pairs of each split.
        left_out: what of the data is not among them.
    """

    folder: Path
    counts: Mapping[str, int]
    left_out: tuple[Problem, ...]


def convert(path: Path, layout: str, folder: Path, *, seed: int = 0) -> Conversion:
    """Write data in another layout.

    Args:
        path: captioned images or parallel sentences, in any layout.
        layout: one of :data:`CAPTION_LAYOUTS`, or for sentences of :data:`PAIR_LAYOUTS`.
        folder: a new one.
        seed: of splits that the data do not have, which are drawn and then written down.

    Raises:
        ConfigError: there is no such layout for such data.
        DataError: the data cannot be used, or ``folder`` is there already.
        ModelError: ``folder`` cannot be written.
        DependencyError: Parquet without the package ``pyarrow``.
    """
    if folder.exists():
        raise DataError(f"{folder}: is there already", remedy="give a new folder")
    if find_format(path) is not None:
        _check(layout, CAPTION_LAYOUTS)
        return _convert_captions(read_collection(path, seed=seed), layout, folder)
    splits = parallel_splits(path)
    if not splits:
        raise DataError(f"{path}: holds no data in a known layout", remedy="see docs/data.md")
    _check(layout, PAIR_LAYOUTS)
    problems: list[Problem] = []
    columns = {split: read_columns(path, split, problems) for split in splits}
    with new_folder(folder) as temporary:
        for split, texts in columns.items():
            rows = [dict(zip(texts, row, strict=True)) for row in zip(*texts.values(), strict=True)]
            _write_rows(temporary / f"{split}.{layout}", rows)
    counts = {split: len(next(iter(texts.values()))) for split, texts in columns.items()}
    return Conversion(folder, counts, tuple(problems))


def _check(layout: str, layouts: Sequence[str]) -> None:
    if layout not in layouts:
        raise unknown_name("layout", layout, layouts)


def _convert_captions(collection: CaptionCollection, layout: str, folder: Path) -> Conversion:
    if not collection.images:
        raise DataError(f"{collection.path}: holds no captioned image that can be used", remedy="see regard data check")
    names = _file_names(collection)
    images = IMAGE_FOLDER if layout == "flickr8k" else "images"
    with new_folder(folder) as temporary:
        (temporary / images).mkdir()
        for source, name in names.items():
            _link(source, temporary / images / name)
        if layout == "flickr8k":
            _write_flickr8k(collection, names, temporary)
        elif layout == "coco":
            _write_coco(collection, names, temporary)
        else:
            for split, rows in _rows(collection, names):
                _write_rows(temporary / f"{split}.{layout}", rows)
    counts = {split: len(each) for split, each in collection.splits.items()}
    return Conversion(folder, counts, collection.problems)


def _file_names(collection: CaptionCollection) -> dict[Path, str]:
    """A name of its own for each image, in letters that every file system takes."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for image in collection.images.values():
        if image.path in names:
            continue
        stem = re.sub(r"[^\w-]+", "_", image.path.stem)[:80] or "image"
        name, number = f"{stem}{image.path.suffix.lower()}", 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}{image.path.suffix.lower()}"
        taken.add(name.casefold())
        names[image.path] = name
    return names


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, target)


def _rows(collection: CaptionCollection, names: Mapping[Path, str]) -> Iterator[tuple[str, Rows]]:
    for split, members in collection.splits.items():
        images = [collection.images[split, name] for name in members]
        rows = [
            {"image": names[image.path], "caption": caption.strip()} for image in images for caption in image.captions
        ]
        yield split, rows


def _write_rows(path: Path, rows: Rows) -> None:
    if path.suffix == ".parquet":
        _write_parquet(path, rows)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["image", "caption"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(path: Path, rows: Rows) -> None:
    try:
        import pyarrow
        from pyarrow.parquet import write_table
    except ImportError:
        raise DependencyError("pyarrow", extra="parquet", purpose=f"writing {path.name}") from None
    write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), path)


def _write_flickr8k(collection: CaptionCollection, names: Mapping[Path, str], folder: Path) -> None:
    lines: dict[str, list[str]] = {}
    for split, members in collection.splits.items():
        listed = [collection.images[split, name] for name in members]
        text = "".join(f"{names[image.path]}\n" for image in listed)
        (folder / f"Flickr_8k.{split}Images.txt").write_text(text, encoding="utf-8", newline="\n")
        for image in listed:
            lines[names[image.path]] = [" ".join(caption.split()) for caption in image.captions]
    text = "".join(f"{name}#{i}\t{caption}\n" for name, captions in lines.items() for i, caption in enumerate(captions))
    (folder / CAPTION_FILE).write_text(text, encoding="utf-8", newline="\n")


def _write_coco(collection: CaptionCollection, names: Mapping[Path, str], folder: Path) -> None:
    ids = {path: number for number, path in enumerate(names, start=1)}
    number = 0
    for split, members in collection.splits.items():
        listed = [collection.images[split, name] for name in members]
        annotations = []
        for image in listed:
            for caption in image.captions:
                number += 1
                annotations.append({"id": number, "image_id": ids[image.path], "caption": caption.strip()})
        images = [{"id": ids[image.path], "file_name": names[image.path]} for image in listed]
        values = {"images": images, "annotations": annotations}
        text = json.dumps(values, ensure_ascii=False)
        (folder / f"captions_{split}.json").write_text(text, encoding="utf-8", newline="\n")
