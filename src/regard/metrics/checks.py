"""Checks of the input of every score."""

from __future__ import annotations

from collections.abc import Sequence, Sized

from regard.errors import DataError


def check_same_length(**columns: Sized) -> int:
    """Refuse columns of different lengths and an empty corpus; return the common length.

    Raises:
        DataError: the columns differ in length, or are empty.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise DataError(f"the corpus has {counts}", allowed="the same number of each, aligned by position")
    length = next(iter(lengths.values()))
    if not length:
        raise DataError("the corpus is empty", remedy="score at least one hypothesis")
    return length


def check_reference_groups(references: Sequence[Sequence[object]]) -> None:
    """Refuse an item that has no reference, or whose references are one string instead of a list of them.

    Raises:
        DataError: names the position of the first such item.
    """
    for position, group in enumerate(references):
        if isinstance(group, str):
            raise DataError(
                f"the references of item {position} are one string: {group!r:.60}",
                allowed="a list of references for every item",
                remedy="wrap a single reference in a list",
            )
        if not group:
            raise DataError(f"item {position} has no reference", allowed="at least one reference for every item")
