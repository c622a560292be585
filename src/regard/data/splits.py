"""Splits by name, and drawn where the data name none: a function of (seed, members) on every machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

Member = TypeVar("Member", bound=Hashable)

TRAIN, VALIDATION, TEST = "train", "dev", "test"
"""What drawn splits are called."""
SHARE, MOST = 0.1, 1000
"""How much of the data a drawn validation or test split takes, and how many inputs at most."""
FEW, SHARE_OF_FEW = 300, 0.3
"""Of fewer members than that, how much validation takes: a choice by a dozen inputs would be chance."""

_SAME = (
    ("train", "training"),
    ("dev", "val", "valid", "validation", "development", "eval"),
    ("test", "testing"),
)
_NAMED = re.compile(
    r"(?<![a-z])(train(?:ing)?|dev(?:elopment)?|val(?:id(?:ation)?)?|eval|test(?:ing)?)(?=[^a-z]|images|$)"
)


def find_split(name: str, splits: Iterable[str]) -> str | None:
    """The one of ``splits`` that ``name`` means, by itself or by a word for the same, such as ``val`` for ``dev``."""
    known = list(splits)
    if name in known:
        return name
    group = next((group for group in _SAME if name.lower() in group), ())
    return next((each for each in known if each.lower() in group), None)


def split_named_in(file_name: str) -> str:
    """The split that a name of a file or folder holds, such as ``val`` of ``captions_val2017.json``; else empty."""
    found = _NAMED.search(file_name.lower())
    return found[1] if found else ""


def is_split_name(name: str) -> bool:
    """Whether a folder of this name, years and numbers aside, holds a split."""
    return any(re.sub(r"[\d_-]+$", "", name.lower()) in group for group in _SAME)


def draw_missing(
    members: Mapping[str, Sequence[Member]], groups: Mapping[Member, Hashable], *, seed: int
) -> dict[str, list[Member]]:
    """Splits to train, choose and test with, of data that do not have them.

    What stands under no name is all drawn into three splits; where there is a training split and none to choose by,
    a validation split is drawn out of it. All of a group goes into one split.

    Args:
        members: the members of each split, and under the empty name those of none.
        groups: what makes members the same, such as the contents of a file; a member that is missing is alone.
        seed: what is drawn is a function of it, and of the names of the members.
    """
    splits = {name: list(each) for name, each in members.items() if name}
    unnamed = list(members.get("", ()))
    if not splits and unnamed:
        rest, *drawn = _draw(unnamed, groups, seed=seed, parts=2)
        return {TRAIN: rest} | {name: part for name, part in zip((VALIDATION, TEST), drawn, strict=True) if part}
    train = find_split(TRAIN, splits)
    if train is not None and find_split(VALIDATION, splits) is None:
        splits[train], drawn_part = _draw(splits[train], groups, seed=seed, parts=1)
        splits |= {VALIDATION: drawn_part} if drawn_part else {}
    return splits


def _draw(members: Sequence[Member], groups: Mapping[Member, Hashable], *, seed: int, parts: int) -> list[list[Member]]:
    """What is left of ``members``, and the parts that were drawn, each in the order of ``members``."""
    by_group: dict[Hashable, list[Member]] = {}
    for member in members:
        by_group.setdefault(groups.get(member, member), []).append(member)
    drawn = sorted(by_group.values(), key=lambda group: _key(seed, str(group[0])))
    taken: list[set[Member]] = []
    for number in range(parts):
        # validation comes first, and is what the best epoch is chosen by
        share = SHARE_OF_FEW if number == 0 and len(members) < FEW else SHARE
        size = min(MOST, max(1, round(share * len(members))))
        part: set[Member] = set()
        # something is left to learn from, whatever is taken
        while drawn and len(part) < size and len(drawn) > 1:
            part.update(drawn.pop())
        taken.append(part)
    rest: Collection[Member] = {member for group in drawn for member in group}
    return [[member for member in members if member in part] for part in (rest, *taken)]


def _key(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogatepass")).hexdigest()
