"""Captioned images in the layout of COCO captions (Chen et al. 2015).

    captions_train.json     {"images": [{"id", "file_name", ...}], "annotations": [{"image_id", "caption", ...}]}, one
                            file a split, beside the images or in annotations/; what else a file holds is left alone
    images/                 the images, or a folder of the split's own name, such as train2017/

A split such as ``train+written`` is two files together: an image that both name has the captions of both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regard.data.readers.flickr8k import CaptionedImage, CaptionedImages
from regard.errors import DataError

IMAGE_FOLDER = "images"
ANNOTATION_FOLDER = "annotations"
_PREFIX = "captions_"
_LAYOUT = f"{_PREFIX}SPLIT.json files beside {IMAGE_FOLDER}/, or in {ANNOTATION_FOLDER}/"


def is_coco(folder: Path) -> bool:
    """Whether ``folder`` looks like this layout, complete or not."""
    return any(True for _ in _annotation_files(folder))


def coco_splits(folder: Path) -> list[str]:
    """The splits that ``folder`` has a file for, in alphabetical order.

    Raises:
        DataError: no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", allowed=f"a folder with {_LAYOUT}")
    return sorted(path.stem.removeprefix(_PREFIX) for path in _annotation_files(folder))


def read_coco(folder: Path, split: str) -> CaptionedImages:
    """The captioned images of ``split``, or of several joined by ``+``, in the order of their files.

    Images that no annotation names are left out, since there is nothing to learn from them.

    Raises:
        DataError: the folder or a file is missing, a split has no file, a file is no such JSON, or images with captions
            are not there; the message says which, or how many and names the first.
    """
    captions: dict[str, list[str]] = {}
    paths: dict[str, Path] = {}
    for part in split.split("+"):
        file = _annotation_file(folder, part)
        for name, caption in _captions(file):
            captions.setdefault(name, []).append(caption)
            paths.setdefault(name, _image_folder(folder, part) / name)
    missing = [name for name, path in paths.items() if not path.is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of the {len(paths)} images of split {split!r} are not in {paths[missing[0]].parent}, "
            f"the first is {missing[0]}",
            remedy="complete the images, or take them out of the annotations",
        )
    items = (CaptionedImage(name, paths[name], tuple(texts)) for name, texts in captions.items())
    return CaptionedImages(split, tuple(items))


def _annotation_files(folder: Path) -> Iterator[Path]:
    for place in (folder, folder / ANNOTATION_FOLDER):
        yield from place.glob(f"{_PREFIX}*.json")


def _annotation_file(folder: Path, split: str) -> Path:
    splits = coco_splits(folder)
    if split not in splits:
        remedy = f"a split is a file {_PREFIX}{split}.json"
        raise DataError(f"{folder}: has no split {split!r}", allowed=", ".join(splits), remedy=remedy)
    return next(path for path in _annotation_files(folder) if path.stem == _PREFIX + split)


def _image_folder(folder: Path, split: str) -> Path:
    own = folder / split
    return own if own.is_dir() else folder / IMAGE_FOLDER


def _captions(file: Path) -> Iterator[tuple[str, str]]:
    """File name and caption of every annotation, images in the order of the file's list."""
    content = _read_json(file)
    try:
        names = {image["id"]: str(image["file_name"]) for image in content["images"]}
        by_name: dict[str, list[str]] = {name: [] for name in names.values()}
        for annotation in content["annotations"]:
            by_name[names[annotation["image_id"]]].append(str(annotation["caption"]).strip())
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{file}: is no COCO captions file ({type(error).__name__}: {error})",
            allowed='"images" with "id" and "file_name", "annotations" with "image_id" and "caption"',
        ) from None
    return _pairs(by_name)


def _pairs(by_name: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    return ((name, caption) for name, captions in by_name.items() for caption in captions)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: is no JSON ({error})") from None
