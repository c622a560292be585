"""Checks of data before a long training: what they hold, and a row for everything that is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from regard.data.captioned import CaptionedImage
from regard.data.collection import CaptionCollection, across_splits
from regard.data.parallel import parallel_splits, read_columns
from regard.data.problems import Problem
from regard.data.readers import FORMATS, find_format, read_collection
from regard.data.splits import TRAIN, find_split
from regard.data.whole_images import why_unreadable
from regard.errors import DataError
from regard.text.languages import look_swapped
from regard.text.word_tokenizer import WordTokenizer, fitting_minimum_count

_SENTENCES = "sentences as train.en with train.de, or a table with a column for each language"


@dataclass
class SplitReport:
    """What one split holds.

    Attributes:
        name: the split.
        count: its images, or its sentences with their translations.
        figures: more counts by name, such as ``captions`` or ``longest`` (in words).
    """

    name: str
    count: int = 0
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DataReport:
    """What data hold.

    Attributes:
        path: the folder or file.
        kind: whether it holds captioned images or sentences with translations.
        format: the name of its format.
        splits: one report each.
        drawn: the names of splits that the data do not have and that a training would draw.
        problems: a row for everything that is wrong.
        minimum_count: how often a word must stand in the training captions to be known, unless a recipe says
            otherwise; 0 for sentences, which are read in pieces of words.
    """

    path: Path
    kind: Literal["captions", "sentences"]
    format: str
    splits: tuple[SplitReport, ...]
    drawn: tuple[str, ...]
    problems: tuple[Problem, ...]
    minimum_count: int = 0


def check(path: Path, *, decode_images: bool = False) -> DataReport:
    """Look through a folder or a file, in whichever layout it is.

    Args:
        path: captioned images or parallel sentences.
        decode_images: also decode every image in full, which takes a minute for thousands; otherwise their ends tell
            whether they are whole.

    Raises:
        DataError: there is no such folder or file, or it is in no layout that is known here.
        DependencyError: the format needs a package that is not installed.
    """
    if find_format(path) is not None:
        return _check_captions(read_collection(path), decode_images=decode_images)
    if parallel_splits(path):
        return _check_sentences(path)
    layouts = "; ".join([*(each.layout for each in FORMATS), _SENTENCES])
    raise DataError(f"{path}: holds no data in a known layout", allowed=layouts, remedy="see docs/data.md")


def _check_captions(collection: CaptionCollection, *, decode_images: bool) -> DataReport:
    train = find_split(TRAIN, collection.splits)
    captions = [
        text
        for name in collection.splits.get(train or "", ())
        for text in collection.images[train or "", name].captions
    ]
    minimum_count = fitting_minimum_count(len(captions))
    tokenizer = WordTokenizer.train(captions, minimum_count=minimum_count) if captions else None
    reports = [
        _count(split, [collection.images[split, name] for name in names], tokenizer)
        for split, names in collection.splits.items()
    ]
    problems = [*collection.problems, *across_splits(collection)]
    if decode_images:
        problems += _unreadable(collection)
    return DataReport(
        collection.path, "captions", collection.format, tuple(reports), collection.drawn, tuple(problems), minimum_count
    )


def _count(split: str, images: Sequence[CaptionedImage], tokenizer: WordTokenizer | None) -> SplitReport:
    captions = [caption for image in images for caption in image.captions]
    words = Counter(word for caption in captions for word in caption.split())
    report = SplitReport(split, len(images))
    per_image = [len(image.captions) for image in images]
    report.figures = {
        "captions": len(captions),
        "fewest_captions": min(per_image, default=0),
        "most_captions": max(per_image, default=0),
        "duplicates": len(captions) - len(set(captions)),
        "words": len(words),
        "longest": max((len(caption.split()) for caption in captions), default=0),
    }
    if tokenizer is not None:
        report.figures["unknown_percent"] = round(100 * tokenizer.unknown_share(captions), 1)
    return report


def _unreadable(collection: CaptionCollection) -> Iterator[Problem]:
    split_of = {image.path: split for (split, _), image in collection.images.items()}
    for path, split in split_of.items():
        if reason := why_unreadable(path, decode=True):
            yield Problem(str(path), reason, remedy="replace the file, or take its rows away", split=split)


def _check_sentences(path: Path) -> DataReport:
    problems: list[Problem] = []
    rows: dict[str, list[tuple[str, ...]]] = {}
    languages: dict[str, tuple[str, ...]] = {}
    for split in parallel_splits(path):
        try:
            columns = read_columns(path, split, problems)
        except DataError as error:
            problems.append(Problem(str(path), error.given, remedy=error.remedy, split=split))
            continue
        languages[split] = tuple(columns)
        rows[split] = list(zip(*columns.values(), strict=True))
        problems += _swapped(path, split, columns)
    splits_of = Counter(row for each in rows.values() for row in set(each))
    reports = [_count_pairs(split, each, splits_of) for split, each in rows.items()]
    problems += [problem for split, each in rows.items() for problem in _bad_pairs(path, split, each)]
    problems += _shared_pairs(path, rows)
    found = sorted({language for each in languages.values() for language in each})
    return DataReport(path, "sentences", f"sentences in {', '.join(found)}", tuple(reports), (), tuple(problems))


def _count_pairs(split: str, rows: Sequence[tuple[str, ...]], splits_of: Mapping[tuple[str, ...], int]) -> SplitReport:
    report = SplitReport(split, len(rows))
    report.figures = {
        "empty": sum(not all(text.strip() for text in row) for row in rows),
        "duplicates": len(rows) - len(set(rows)),
        "in_other_splits": sum(splits_of[row] > 1 for row in rows),
        "untranslated": sum(len(set(row)) == 1 for row in rows),
        "longest": max((len(text.split()) for row in rows for text in row), default=0),
    }
    return report


def _swapped(path: Path, split: str, columns: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    names = list(columns)
    for other in names[1:]:
        if look_swapped(columns[names[0]], columns[other], source=names[0], target=other):
            reason = f"{names[0]} and {other} look swapped in the split {split!r}"
            yield Problem(str(path), reason, remedy="rename the files or columns", split=split)


def _bad_pairs(path: Path, split: str, rows: Sequence[tuple[str, ...]]) -> Iterator[Problem]:
    if not rows:
        yield Problem(str(path), f"the split {split!r} is empty", remedy="write one sentence a line", split=split)
    for number, row in enumerate(rows, start=1):
        if not all(text.strip() for text in row):
            reason = f"pair {number} of the split {split!r} has an empty side"
            yield Problem(str(path), reason, remedy="complete it, or delete it on both sides", split=split)


def _shared_pairs(path: Path, rows: Mapping[str, Sequence[tuple[str, ...]]]) -> Iterator[Problem]:
    """Pairs that stand in the training split and in one that a model is chosen or judged by."""
    train = find_split(TRAIN, rows)
    known = set(rows.get(train or "", ()))
    for split, each in rows.items():
        for number, row in enumerate(each, start=1):
            if split != train and row in known and all(text.strip() for text in row):
                reason = f"pair {number} of the split {split!r} stands in {train!r} too: {row[0]!r:.60}"
                yield Problem(str(path), reason, remedy="take it out of one of them", split=split)
