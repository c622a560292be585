"""Captioned images in one JSON file, as Karpathy & Fei-Fei (2015) split Flickr8k, Flickr30k and COCO.

    dataset_flickr8k.json    {"images": [{"filename", "split", "sentences": [{"raw", …}, …]}, …]}
    images/                  the images, in folders that "filepath" names where it is there

Its split ``restval`` is trained on, as its makers do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from regard.data.captioned import CaptionRow
from regard.data.problems import Problem
from regard.data.readers.base import CaptionFormat, manifests
from regard.data.readers.coco import is_json_list, looks_like
from regard.data.tables import read_json


class Karpathy(CaptionFormat):
    """A JSON file whose images hold their sentences and their split."""

    name: ClassVar[str] = "karpathy"
    layout: ClassVar[str] = "dataset_flickr8k.json as Karpathy's splits write it"

    def recognises(self, path: Path) -> bool:
        return bool(_files(path))

    def rows(self, path: Path) -> Iterator[CaptionRow | Problem]:
        for file in _files(path):
            content = read_json(file)
            images = content.get("images") if isinstance(content, dict) else None
            if isinstance(content, Problem):
                yield content
            elif not isinstance(images, list):
                yield Problem(str(file), 'holds no list of "images"')
            else:
                for number, image in enumerate(images, start=1):
                    yield from _rows(image, str(file), number)


def _files(path: Path) -> list[Path]:
    return [
        each
        for each in manifests(path, (".json",))
        if looks_like(each, b'"sentences"', b'"raw"') and not is_json_list(each)
    ]


def _rows(image: Any, file: str, number: int) -> Iterator[CaptionRow | Problem]:
    values = image if isinstance(image, dict) else {}
    name, sentences, split = values.get("filename"), values.get("sentences"), values.get("split", "")
    if not isinstance(name, str) or not isinstance(sentences, list) or not isinstance(split, str):
        yield Problem(file, f"image {number} has no file name or no sentences: {image!r:.60}")
        return
    folder = values.get("filepath")
    path = f"{folder}/{name}" if isinstance(folder, str) and folder else name
    split = "train" if split == "restval" else split
    for sentence in sentences:
        raw = sentence.get("raw") if isinstance(sentence, dict) else None
        if isinstance(raw, str):
            yield CaptionRow(path, raw, file, 0, split)
        else:
            yield Problem(file, f"image {number} has a sentence without text: {sentence!r:.60}", split=split)
