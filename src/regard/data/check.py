"""Looking through a data folder before a long training does: counts, gaps, repetitions, and what cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from regard.data.images import load_image
from regard.data.parallel import parallel_splits, read_columns
from regard.data.readers.flickr8k import (
    IMAGE_FOLDER,
    flickr8k_splits,
    image_names,
    is_flickr8k,
    read_captions,
    read_split,
)
from regard.errors import DataError, ImageError

Result = TypeVar("Result")

_NAMED = 3
"""How many of several images a problem names."""


@dataclass
class SplitReport:
    """What one split holds.

    Attributes:
        name: the split.
        count: its images, or its sentences with their translations.
        figures: more counts by name, such as ``captions`` or ``longest`` (in words).
        problems: what will stop or harm a training, one line each.
    """

    name: str
    count: int = 0
    figures: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def miss(self, figure: str, names: Sequence[str], reason: str) -> None:
        """Count what is wrong with some images as a figure, and as a problem if there are any."""
        self.figures[figure] = len(names)
        if names:
            first = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
            self.problems.append(f"{len(names)} {reason}: {first}")


@dataclass(frozen=True)
class DataReport:
    """What a data folder holds.

    Attributes:
        folder: where it is.
        kind: whether it holds captioned images or sentences with translations.
        splits: one report each.
        problems: what is wrong with the folder and, each with its name, with the splits.
    """

    folder: Path
    kind: Literal["captions", "sentences"]
    splits: tuple[SplitReport, ...]
    problems: tuple[str, ...]


def check(folder: Path, *, decode_images: bool = False) -> DataReport:
    """Look through ``folder``, in whichever layout it is.

    Args:
        folder: captioned images or parallel sentences.
        decode_images: also read every image in full, which takes a minute for thousands.

    Raises:
        DataError: there is no such folder, or it is in no layout that is known here.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    if is_flickr8k(folder):
        return _check_captions(folder, decode_images=decode_images)
    if parallel_splits(folder):
        return _check_sentences(folder)
    raise DataError(
        f"{folder}: holds no data in a known layout",
        allowed="captioned images as in Flickr8k, or sentences as train.en with train.de, train.tsv or train.jsonl",
    )


def _check_captions(folder: Path, *, decode_images: bool) -> DataReport:
    problems: list[str] = []
    captions = _attempt(partial(read_captions, folder), problems)
    present = _attempt(partial(image_names, folder), problems)
    read = {split: _attempt(partial(read_split, folder, split), problems) for split in flickr8k_splits(folder)}
    names = {split: listed for split, listed in read.items() if listed}
    if not read:
        problems.append("there is no list of images, such as Flickr_8k.trainImages.txt")
    splits_of = Counter(name for listed in names.values() for name in listed)
    reports = []
    for split, listed in names.items():
        report = SplitReport(split, len(listed))
        report.miss("in_other_splits", [name for name in listed if splits_of[name] > 1], "images also in another split")
        if captions is not None:
            report.miss("uncaptioned", [name for name in listed if name not in captions], "images without a caption")
            _count_captions(report, [text for name in listed for text in captions.get(name, ())])
        if present is not None:
            report.miss("missing", [name for name in listed if name not in present], f"images not in {IMAGE_FOLDER}")
        if present is not None and decode_images:
            paths = [folder / IMAGE_FOLDER / name for name in listed if name in present]
            report.miss("unreadable", [path.name for path in paths if not _is_readable(path)], "images cannot be read")
        reports.append(report)
    return _report(folder, "captions", reports, problems)


def _attempt(read: Callable[[], Result], problems: list[str]) -> Result | None:
    """What ``read`` returns; what it refuses becomes a problem."""
    try:
        return read()
    except DataError as error:
        problems.append(str(error))
        return None


def _count_captions(report: SplitReport, captions: Sequence[str]) -> None:
    report.figures["captions"] = len(captions)
    report.figures["duplicates"] = len(captions) - len(set(captions))
    report.figures["longest"] = max((len(caption.split()) for caption in captions), default=0)
    report.figures["empty"] = sum(not caption.strip() for caption in captions)
    if report.figures["empty"]:
        report.problems.append(f"{report.figures['empty']} captions are empty")


def _is_readable(path: Path) -> bool:
    try:
        load_image(path)
    except ImageError:
        return False
    return True


def _check_sentences(folder: Path) -> DataReport:
    problems: list[str] = []
    read = {split: _attempt(partial(read_columns, folder, split), problems) for split in parallel_splits(folder)}
    rows = {split: list(zip(*columns.values(), strict=True)) for split, columns in read.items() if columns}
    splits_of = Counter(row for each in rows.values() for row in set(each))
    reports = []
    for split, each in rows.items():
        report = SplitReport(split, len(each))
        report.figures["empty"] = sum(not all(text.strip() for text in row) for row in each)
        report.figures["duplicates"] = len(each) - len(set(each))
        report.figures["in_other_splits"] = sum(splits_of[row] > 1 for row in each)
        report.figures["untranslated"] = sum(len(set(row)) == 1 for row in each)
        report.figures["longest"] = max((len(text.split()) for row in each for text in row), default=0)
        if report.figures["empty"]:
            report.problems.append(f"{report.figures['empty']} sentences or translations are empty")
        if not each:
            report.problems.append("the files are empty")
        reports.append(report)
    return _report(folder, "sentences", reports, problems)


def _report(
    folder: Path, kind: Literal["captions", "sentences"], splits: Sequence[SplitReport], problems: Sequence[str]
) -> DataReport:
    of_splits = [f"{split.name}: {problem}" for split in splits for problem in split.problems]
    return DataReport(folder, kind, tuple(splits), (*problems, *of_splits))
