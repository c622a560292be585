"""Captioned images in the official layouts of Flickr8k (Hodosh et al. 2013) and Flickr30k (Young et al. 2014).

    Flicker8k_Dataset/            the images (spelled so by its makers), or any folder
    Flickr8k.token.txt            NAME#INDEX <tab> CAPTION, one caption a line; Flickr30k's ends in .token
    Flickr_8k.trainImages.txt     the image names of a split, one a line; likewise dev and test, and any other name

Your own photos in the same layout are read the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar

from regard.data.captioned import CaptionRow
from regard.data.image_index import ImageIndex, is_image_name
from regard.data.lines import iterate_lines
from regard.data.problems import Problem
from regard.data.readers.base import CaptionFormat, manifests
from regard.data.splits import split_named_in
from regard.data.tables import SAMPLE, numbered_lines
from regard.errors import DataError

IMAGE_FOLDER = "Flicker8k_Dataset"
CAPTION_FILE = "Flickr8k.token.txt"
_OFFICIAL_LIST = re.compile(r"Flickr_8k\.(.+)Images\.txt")
_CAPTION_LINE = re.compile(r"([^\t]+)#(\d+)\s*\t(.*)", re.DOTALL)


class Flickr8k(CaptionFormat):
    """Captions as NAME#INDEX, and lists of names as splits."""

    name: ClassVar[str] = "flickr8k"
    layout: ClassVar[str] = f"{CAPTION_FILE} with lines NAME#INDEX<tab>CAPTION"

    def recognises(self, path: Path) -> bool:
        return _caption_file(path) is not None

    def rows(self, path: Path) -> Iterator[CaptionRow | Problem]:
        file = _caption_file(path)
        assert file is not None, "the format was recognised"
        captions: dict[str, list[CaptionRow]] = {}
        for row in _captions(file):
            if isinstance(row, Problem):
                yield row
            else:
                captions.setdefault(row.image, []).append(row)
        lists = _split_lists(path, file)
        listed: set[str] = set()
        for split, list_file in lists.items():
            for name in _names(list_file, split):
                if isinstance(name, Problem):
                    yield name
                    continue
                rows = captions.get(name[1]) or captions.get(name[1] + ".jpg")
                if rows is None:
                    reason = f"the image {name[1]!r} has no caption in {file.name}"
                    yield Problem(str(list_file), reason, line=name[0], remedy="write one, or delete it", split=split)
                    continue
                listed.add(rows[0].image)
                yield from (CaptionRow(row.image, row.caption, row.file, row.line, split) for row in rows)
        yield from (row for image, rows in captions.items() if image not in listed for row in rows)

    def images(self, path: Path) -> ImageIndex:
        folder = path if path.is_dir() else path.parent
        return ImageIndex(folder, folder / IMAGE_FOLDER, folder / "Images")


def _caption_file(path: Path) -> Path | None:
    """The official file, or another whose first lines are captions of this kind; lemmas are no captions."""
    if path.is_dir() and (path / CAPTION_FILE).is_file():
        return path / CAPTION_FILE
    files = [each for each in manifests(path, (".txt", ".token", ".tsv")) if "lemma" not in each.name.lower()]
    return next((each for each in files if _has_caption_lines(each)), None)


def _has_caption_lines(file: Path) -> bool:
    try:
        first = [line for line in islice(iterate_lines(file), SAMPLE) if line.strip()]
    except DataError:
        return file.name == CAPTION_FILE
    return bool(first) and sum(_CAPTION_LINE.fullmatch(line) is not None for line in first) > len(first) / 2


def _captions(file: Path) -> Iterator[CaptionRow | Problem]:
    seen: set[tuple[str, int]] = set()
    rows: list[tuple[str, int, CaptionRow]] = []
    for line in numbered_lines(file):
        if isinstance(line, Problem):
            yield line
            continue
        number, text = line
        match = _CAPTION_LINE.fullmatch(text)
        if match is None and text.strip():
            reason = f"is not a caption: {text:.60}"
            yield Problem(str(file), reason, line=number, remedy="write NAME#INDEX<tab>CAPTION")
        elif match is not None:
            name, index = match[1].strip(), int(match[2][:9])
            if (name, index) in seen:
                yield Problem(
                    str(file), f"gives caption {index} of {name} again", line=number, remedy="number it otherwise"
                )
                continue
            seen.add((name, index))
            rows.append((name, index, CaptionRow(name, match[3], str(file), number)))
    # the captions of an image in the order of their index, images in the order of the file
    order = {name: place for place, name in enumerate(dict.fromkeys(name for name, _, _ in rows))}
    for _, _, row in sorted(rows, key=lambda each: (order[each[0]], each[1])):
        yield row


def _split_lists(path: Path, caption_file: Path) -> dict[str, Path]:
    """The list of each split: the official ones, or text files of image names that are called after a split."""
    if path.is_file():
        return {}
    files = [each for each in manifests(path, (".txt",)) if each != caption_file]
    official = {found[1]: each for each in files if (found := _OFFICIAL_LIST.fullmatch(each.name))}
    named = {split: each for each in files if (split := split_named_in(each.stem)) and _holds_names(each)}
    return official or named


def _holds_names(file: Path) -> bool:
    try:
        first = [line.strip() for line in islice(iterate_lines(file), SAMPLE) if line.strip()]
    except DataError:
        return False
    return bool(first) and all(is_image_name(line) or re.fullmatch(r"\d+", line) for line in first)


def _names(file: Path, split: str) -> Iterator[tuple[int, str] | Problem]:
    first_line: dict[str, int] = {}
    for line in numbered_lines(file):
        if isinstance(line, Problem):
            yield line
            continue
        number, name = line[0], line[1].strip()
        if not name:
            continue
        if name in first_line:
            reason = f"names {name} again, after line {first_line[name]}"
            yield Problem(str(file), reason, line=number, remedy="delete the line", split=split)
            continue
        first_line[name] = number
        yield number, name
    if not first_line:
        yield Problem(str(file), "names no image", remedy="write one image name a line", split=split)
