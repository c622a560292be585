"""A captioned data set as a whole: from the rows of its manifests to images in splits, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from regard.data.captioned import CaptionedImage, CaptionedImages, CaptionRow
from regard.data.image_index import ImageIndex
from regard.data.problems import Problem
from regard.data.splits import TRAIN, VALIDATION, draw_missing, find_split
from regard.data.whole_images import why_unreadable
from regard.errors import DataError
from regard.text.words import require_unicode

USABLE = 0.5
"""Where less than this share of the images can be used, the rest is not learned from: something else is wrong."""


@dataclass(frozen=True)
class CaptionCollection:
    """A captioned data set.

    Attributes:
        path: its folder or file.
        format: the name of its format.
        splits: the names of the usable images of each split, in the order of the data.
        drawn: the splits among them that the data do not have, and that were drawn.
        images: the usable images, by split and name: in two splits an image may have different captions.
        num_named: how many images the data name, usable or not, those of each split counted.
        problems: what is wrong, in the order in which it was found.
    """

    path: Path
    format: str
    splits: Mapping[str, Sequence[str]]
    drawn: tuple[str, ...]
    images: Mapping[tuple[str, str], CaptionedImage]
    num_named: int
    problems: tuple[Problem, ...]

    def find(self, split: str) -> str:
        """The name of ``split`` here, which may be called ``val`` where ``dev`` is asked for.

        Raises:
            DataError: there is no such split.
        """
        found = find_split(split, self.splits)
        if found is None:
            raise DataError(
                f"{self.path}: has no split {split!r}", allowed=", ".join(self.splits) or "none, there are no captions"
            )
        return found

    def read(self, split: str, *, strict: bool) -> CaptionedImages:
        """The images of a split, or of several joined by ``+``, whose captions are then those of one image.

        Args:
            split: the name or names.
            strict: refuse data with problems; otherwise leave out what cannot be used, and say so in the result.

        Raises:
            DataError: there is no such split, nothing of it or too little can be used, or ``strict`` and a problem.
        """
        if self.problems and not self.images:
            raise self._refusal(split, self.problems)
        names = [self.find(part) for part in split.split("+")]
        others = [name for name in self.splits if name not in names]
        problems = tuple(each for each in self.problems if not each.harmless and each.split not in others)
        merged: dict[str, CaptionedImage] = {}
        for part in names:
            for name in self.splits[part]:
                image, known = self.images[part, name], merged.get(name)
                captions = image.captions if known is None else (*known.captions, *image.captions)
                merged[name] = replace(image, captions=captions)
        if problems and (strict or len(self.images) < USABLE * self.num_named or not merged):
            raise self._refusal(split, problems)
        if not merged:
            raise DataError(f"{self.path}: the split {split!r} holds no captioned image")
        return CaptionedImages(split, tuple(merged.values()), problems)

    def _refusal(self, split: str, problems: Sequence[Problem]) -> DataError:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems, the first"
        return DataError(
            f"{self.path}: the split {split!r} has {count}: {problems[0]}",
            remedy="" if len(problems) == 1 else f"regard data check {self.path} shows all",
        )


def collect(
    path: Path, format_name: str, rows: Iterable[CaptionRow | Problem], images: ImageIndex, *, seed: int = 0
) -> CaptionCollection:
    """Gather the rows of a data set by image, find its images, and draw the splits that it does not have.

    Args:
        path: the folder or file, for messages.
        format_name: the name of its format.
        rows: the captions, and what could not be read of them.
        images: where images are looked for.
        seed: of splits that are drawn.
    """
    gathered = _Gathered(images)
    for row in rows:
        gathered.take(row)
    given = gathered.settle()
    source = "" if "" in given else find_split(TRAIN, given)
    usable = {split: [name for name in names if (split, name) in gathered.found] for split, names in given.items()}
    must_draw = source == "" or (source is not None and find_split(VALIDATION, given) is None)
    splits = draw_missing(usable, gathered.contents if must_draw else {}, seed=seed)
    usable_images = {
        (split, name): gathered.found[split if split in given else source or "", name]
        for split, names in splits.items()
        for name in names
    }
    drawn = tuple(split for split in splits if split not in given)
    num_named = sum(map(len, given.values()))
    return CaptionCollection(path, format_name, splits, drawn, usable_images, num_named, tuple(gathered.problems))


@dataclass
class _Gathered:
    """What the rows say, by split and image."""

    images: ImageIndex
    captions: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    first: dict[tuple[str, str], CaptionRow] = field(default_factory=dict)
    found: dict[tuple[str, str], CaptionedImage] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def take(self, row: CaptionRow | Problem) -> None:
        if isinstance(row, Problem):
            self.problems.append(row)
            return
        listed = self.captions.setdefault(row.split, {}).setdefault(row.image, [])
        self.first.setdefault((row.split, row.image), row)
        caption = row.caption.strip()
        reason = _why_no_caption(caption)
        if reason:
            self._add(row, reason, remedy="write one, or take the row away")
        else:
            listed.append(row.caption)

    def settle(self) -> dict[str, list[str]]:
        """The names of the images of each split that counts; what stands in none counts where there are no splits.

        Each image is looked for, and whether it is whole.
        """
        given = {split: list(names) for split, names in self.captions.items() if split} or {
            split: list(names) for split, names in self.captions.items()
        }
        reasons: dict[str, str] = {}
        for (split, name), row in self.first.items():
            if split not in given:
                continue
            captions = self.captions[split][name]
            path = self.images.find(name)
            if path is None:
                self._add(row, f"there is no image {name!r} in {self.images.folder}", remedy=_COMPLETE)
            elif not captions:
                continue  # each caption of it is a problem already
            elif reason := reasons.setdefault(name, why_unreadable(path)):
                self._add(row, f"the image {name!r} {reason}", remedy=_COMPLETE)
            else:
                self.found[split, name] = CaptionedImage(name, path, tuple(captions))
        return given

    @cached_property
    def contents(self) -> dict[str, str]:
        """What stands for the content of each image that is there more than once, by its name."""
        paths = {name: image.path for (_, name), image in self.found.items()}
        return {name: key for key, names in same_contents(paths).items() for name in names}

    def _add(self, row: CaptionRow, reason: str, *, remedy: str) -> None:
        self.problems.append(Problem(row.file, reason, line=row.line or None, remedy=remedy, split=row.split))


_COMPLETE = "complete the images, or take their rows away"


def _why_no_caption(caption: str) -> str:
    if not caption:
        return "the caption is empty"
    try:
        require_unicode(caption)
    except DataError as error:
        return error.given
    return ""


def same_contents(paths: Mapping[str, Path]) -> dict[str, list[str]]:
    """The names of files of one content, by its SHA-256, where there are several; only files of one size are read."""
    by_size: dict[int, list[str]] = {}
    for name, path in paths.items():
        by_size.setdefault(path.stat().st_size, []).append(name)
    groups: dict[str, list[str]] = {}
    for name in chain.from_iterable(names for names in by_size.values() if len(names) > 1):
        with paths[name].open("rb") as file:
            groups.setdefault(hashlib.file_digest(file, "sha256").hexdigest(), []).append(name)
    return {content: names for content, names in groups.items() if len(names) > 1}


def across_splits(collection: CaptionCollection) -> Iterator[Problem]:
    """Images whose content stands in two splits, under one name or two; a model would be judged by what it learned."""
    paths = {f"{split}\0{name}": image.path for (split, name), image in collection.images.items()}
    by_path: dict[Path, list[str]] = {}
    for key, path in paths.items():
        by_path.setdefault(path, []).append(key)
    contents = same_contents({keys[0]: path for path, keys in by_path.items()})
    merged = [[key for first in names for key in by_path[paths[first]]] for names in contents.values()]
    alone = {first for names in contents.values() for first in names}
    merged += [keys for keys in by_path.values() if len(keys) > 1 and keys[0] not in alone]
    for keys in merged:
        first_split, first_name = keys[0].split("\0", 1)
        for split, name in (key.split("\0", 1) for key in keys[1:]):
            if split != first_split:
                reason = f"is the same picture as {first_name} of the split {first_split!r}"
                yield Problem(name, reason, remedy="take it out of one of them", split=split)
