"""Lines are handed on as they come, with a pause wherever one is still to come."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Queue

import pytest

from regard.cli.arriving import arriving
from regard.errors import DataError, TextError
from regard.pipeline.length_buckets import Pause


def test_lines_come_before_the_next_is_there() -> None:
    source: Queue[str | None] = Queue()
    lines = arriving(iter(source.get, None))
    for number in range(3):
        source.put(f"line {number}")
        assert next(line for line in lines if not isinstance(line, Pause)) == f"line {number}"
    source.put(None)
    assert [line for line in lines if not isinstance(line, Pause)] == []


def test_errors_stay_in_their_place() -> None:
    def lines() -> Iterator[str | TextError]:
        yield "one"
        yield TextError("no text")
        raise DataError("no more")

    found = (line for line in arriving(lines()) if not isinstance(line, Pause))
    assert next(found) == "one"
    assert isinstance(next(found), TextError)
    with pytest.raises(DataError, match="no more"):
        next(found)
