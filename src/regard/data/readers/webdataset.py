"""Captioned images in tar files, as WebDataset writes them.

    train-0000.tar    members 0001.jpg and 0001.txt of one stem together; captions one a line in .txt or .caption, or
                      under "caption" or "captions" in .json
    train-0001.tar    more of the same split

The images are unpacked once into the cache.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, ClassVar

from regard.data.captioned import CaptionRow
from regard.data.image_index import ImageIndex, is_image_name
from regard.data.problems import Problem
from regard.data.readers.base import CaptionFormat, manifests
from regard.data.splits import split_named_in
from regard.data.tables import parse_json
from regard.data.unpacked import Unpacked

_SUFFIXES = (".tar", ".tgz")
_TEXTS = (".txt", ".caption", ".json")
_KEYS = ("caption", "captions", "text", "texts")


class WebDataset(CaptionFormat):
    """Shards of images and their texts."""

    name: ClassVar[str] = "webdataset"
    layout: ClassVar[str] = "tar files with 0001.jpg and 0001.txt together"

    def recognises(self, path: Path) -> bool:
        return any(each.suffix in _SUFFIXES for each in manifests(path, _SUFFIXES))

    def rows(self, path: Path) -> Iterator[CaptionRow | Problem]:
        for shard in manifests(path, _SUFFIXES):
            try:
                with tarfile.open(shard) as archive:
                    yield from _rows(archive, shard)
            except (tarfile.TarError, EOFError, OSError, ValueError) as error:
                yield Problem(str(shard), f"is damaged or cut short ({error})", remedy="fetch it once more")

    def images(self, path: Path) -> ImageIndex:
        folder = path if path.is_dir() else path.parent
        return ImageIndex(folder, *(Unpacked(shard).folder for shard in manifests(path, _SUFFIXES)))


def _rows(archive: tarfile.TarFile, shard: Path) -> Iterator[CaptionRow | Problem]:
    captions: dict[str, list[str]] = {}
    images: dict[str, str] = {}
    with Unpacked(shard).filled() as unpacked:
        for number, member in enumerate(archive, start=1):
            path = PurePosixPath(member.name)
            opened = archive.extractfile(member) if member.isfile() and not path.name.startswith(".") else None
            if opened is None:
                continue
            # of a.left.jpg and a.txt the key is what stands before the first point
            key = str(path.with_name(path.name.split(".", 1)[0]))
            with opened:
                if is_image_name(path.name):
                    images[key] = unpacked.add(number, path.name, opened.read())
                elif path.suffix in _TEXTS:
                    captions.setdefault(key, []).extend(_captions(opened, path.suffix))
    split = split_named_in(shard.stem)
    for key, name in images.items():
        if not captions.get(key):
            yield Problem(str(shard), f"{key} has no caption", remedy="add it as a .txt", split=split)
        yield from (CaptionRow(name, caption, str(shard), 0, split) for caption in captions.get(key, ()))


def _captions(opened: IO[bytes], suffix: str) -> list[str]:
    data = opened.read()
    if suffix == ".json":
        values = parse_json(data)
        given = [values[key] for key in _KEYS if key in values] if isinstance(values, dict) else []
        texts = [text for value in given for text in (value if isinstance(value, list) else [value])]
        return [text for text in texts if isinstance(text, str) and text.strip()]
    return [line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
