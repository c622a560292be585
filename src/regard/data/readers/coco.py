"""Captioned images in the layout of COCO captions (Chen et al. 2015).

captions_train.json     {"images": [{"id", "file_name", ...}], "annotations": [{"image_id", "caption", ...}]}, one
                        file a split, beside the images or in annotations/; what else a file holds is left alone
images/                 the images, or a folder of the split's own name, such as train2017/
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from regard.data.captioned import CaptionRow
from regard.data.image_index import ImageIndex
from regard.data.problems import Problem
from regard.data.readers.base import CaptionFormat, manifests
from regard.data.tables import read_json

_PREFIX = "captions_"
_ENDS = 1 << 16
"""How many bytes at the beginning and at the end of a file are looked at."""
_LAYOUT = '"images" with "id" and "file_name", "annotations" with "image_id" and "caption"'


class Coco(CaptionFormat):
    """JSON files with lists of images and of annotations."""

    name: ClassVar[str] = "coco"
    layout: ClassVar[str] = "captions_train.json as COCO writes it, beside images/"

    def recognises(self, path: Path) -> bool:
        return bool(_annotation_files(path))

    def rows(self, path: Path) -> Iterator[CaptionRow | Problem]:
        for file in _annotation_files(path):
            yield from _captions(file, file.stem.removeprefix(_PREFIX) if file.stem.startswith(_PREFIX) else "")

    def images(self, path: Path) -> ImageIndex:
        folder = path if path.is_dir() else path.parent
        root = folder.parent if folder.name == "annotations" else folder
        return ImageIndex(root, root / "images")


def _annotation_files(path: Path) -> list[Path]:
    """Those that are named so, or else those whose ends look so."""
    files = manifests(path, (".json",))
    named = [each for each in files if each.name.startswith(_PREFIX) and not _is_other(each)]
    return named or [each for each in files if looks_like(each, b'"caption"', b'"image_id"') and not _is_other(each)]


def _is_other(file: Path) -> bool:
    """Whether a file is a plain list, or holds sentences image by image."""
    return is_json_list(file) or looks_like(file, b'"sentences"', b'"raw"')


def is_json_list(file: Path) -> bool:
    """Whether a JSON file begins as a list does."""
    try:
        with file.open("rb") as opened:
            return opened.read(64).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")
    except OSError:
        return False


def looks_like(file: Path, *words: bytes) -> bool:
    """Whether all ``words`` stand at the beginning or the end of a file."""
    try:
        with file.open("rb") as opened:
            ends = opened.read(_ENDS)
            opened.seek(max(0, opened.seek(0, 2) - _ENDS))
            ends += opened.read()
    except OSError:
        return False
    return all(word in ends for word in words)


def _captions(file: Path, split: str) -> Iterator[CaptionRow | Problem]:
    """The captions image by image, in the order of the file's list of images."""
    content = read_json(file)
    if isinstance(content, Problem):
        yield content
        return
    lists = [content.get(name) if isinstance(content, dict) else None for name in ("images", "annotations")]
    images, annotations = lists
    if not isinstance(images, list) or not isinstance(annotations, list):
        yield Problem(str(file), "is no COCO captions file", remedy=f"it holds {_LAYOUT}")
        return
    names: dict[Any, str] = {}
    for image in images:
        if isinstance(image, dict) and isinstance(image.get("file_name"), str) and _is_id(image.get("id")):
            names[image["id"]] = image["file_name"]
        else:
            yield Problem(str(file), f"an image has no id or file name: {image!r:.60}", split=split)
    by_image: dict[str, list[CaptionRow]] = {name: [] for name in names.values()}
    for number, annotation in enumerate(annotations, start=1):
        row = _row(annotation, number, names, str(file), split)
        if isinstance(row, Problem):
            yield row
        else:
            by_image[row.image].append(row)
    for rows in by_image.values():
        yield from rows


def _row(annotation: Any, number: int, names: dict[Any, str], file: str, split: str) -> CaptionRow | Problem:
    if not isinstance(annotation, dict) or not isinstance(annotation.get("caption"), str):
        return Problem(file, f"annotation {number} has no caption: {annotation!r:.60}", split=split)
    image = annotation.get("image_id")
    if not _is_id(image) or image not in names:
        return Problem(file, f"annotation {number} is about an image {image!r:.40} that is not listed", split=split)
    return CaptionRow(names[image], annotation["caption"].strip(), file, 0, split)


def _is_id(value: object) -> bool:
    return isinstance(value, int | str)
