"""Lines of standard input, answered as they come: batched only as far as they wait.

A thread reads ahead. Where no line is waiting, a mark says so, and what was read so far is answered before more is
waited for. The thread holds few lines, so that memory does not grow with the input.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import Empty, Queue

from regard.errors import TextError
from regard.pipeline.length_buckets import PAUSE, Pause

HELD = 4096
"""How many lines are read ahead at most."""


def arriving(lines: Iterable[str | TextError]) -> Iterator[str | TextError | Pause]:
    """The lines in order, with a pause wherever the next one is still to come.

    Raises:
        Exception: whatever reading the lines raises, in its place.
    """
    waiting: Queue[str | TextError | Exception | None] = Queue(HELD)
    threading.Thread(target=_read, args=(lines, waiting), name="regard-lines", daemon=True).start()
    while True:
        try:
            line = waiting.get_nowait()
        except Empty:
            yield PAUSE
            line = waiting.get()
        if line is None:
            return
        if isinstance(line, Exception) and not isinstance(line, TextError):
            raise line
        yield line


def _read(lines: Iterable[str | TextError], waiting: Queue[str | TextError | Exception | None]) -> None:
    try:
        for line in lines:
            waiting.put(line)
    except Exception as error:  # it is raised where the next line is awaited
        waiting.put(error)
    waiting.put(None)
