"""Progress of long work on standard error: a bar on a terminal, a plain line now and then anywhere else.

In a log file, a pipe or a job of a cluster a long stage is reported in plain lines, at most one every
:data:`SECONDS_BETWEEN_LINES` seconds, each whole when it is written.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from regard.cli.report import echo_note
from regard.cli.streams import as_shown
from regard.progress import Stage

if TYPE_CHECKING:
    from rich.progress import TaskID

SECONDS_BETWEEN_LINES = 10


class ShownProgress:
    """Progress on standard error; what :class:`regard.progress.Progress` asks for.

    Args:
        beside_results: results are printed meanwhile. Where both are seen on one terminal, the lines of the results
            show how the work goes, and a bar among them would only disturb.
    """

    def __init__(self, *, beside_results: bool = False) -> None:
        on_terminal = sys.stderr.isatty()
        self._hidden = on_terminal and beside_results and sys.stdout.isatty()
        self._display: _Display = _Bar() if on_terminal and not self._hidden else _Lines()
        self._stage: Stage | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.close()

    def start(self, title: str, total: int | None, *, done: int = 0, unit: str = "") -> None:
        """A new stage begins and takes the place of the last one."""
        self._stage = Stage(title, total, done=done, unit=unit)
        self._display.show(self._stage)

    def advance(self, count: int, note: str = "") -> None:
        """``count`` more units are done."""
        assert self._stage is not None, "a stage has begun"
        self._stage.advance(count, note)
        if not self._hidden:
            self._display.show(self._stage)

    def log(self, line: str) -> None:
        """One line that stays."""
        self._display.log(line)


class _Display(Protocol):
    """One way of showing the present stage."""

    def show(self, stage: Stage) -> None:
        """Show how a stage stands."""

    def log(self, line: str) -> None:
        """One line that stays."""

    def close(self) -> None:
        """Leave standard error at the beginning of a line."""


class _Lines:
    """Plain lines, few of them."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def show(self, stage: Stage) -> None:
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            echo_note(str(stage))

    def log(self, line: str) -> None:
        echo_note(line)

    def close(self) -> None:
        pass


class _Bar:
    """A bar with the time left, gone when the work is done."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        title, text = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[text]}", markup=False)
        self._bar = Progress(
            title,
            BarColumn(),
            text,
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,  # results go where standard output goes, not among the bars
        )
        self._shown: Stage | None = None
        self._task: TaskID | None = None

    def show(self, stage: Stage) -> None:
        if self._shown is not stage:
            self._begin(stage)
        assert self._task is not None, "a stage has begun"
        text = f"{stage.counts()} {stage.note}".rstrip()
        self._bar.update(self._task, completed=stage.done, text=text)

    def log(self, line: str) -> None:
        self._bar.console.print(as_shown(line, sys.stderr), markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._bar.stop()

    def _begin(self, stage: Stage) -> None:
        """A bar of its own for a stage, in the place of the last one, which is shown a last time as it ended."""
        self._bar.start()
        self._bar.refresh()
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(stage.title, total=stage.total, completed=stage.done, text="")
        self._shown = stage
