"""How long work stands: bars with the time left, on standard error, gone when the work is done.

Where standard error is no terminal there are no bars, only the lines worth keeping.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


def _progress(*columns: ProgressColumn, hidden: bool = False) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    title, bar, left = TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn()
    return Progress(
        title,
        bar,
        *columns,
        left,
        console=console,
        disable=hidden or not console.is_terminal,
        transient=True,
        redirect_stdout=False,  # results go where standard output goes, not among the bars
    )


class Bars:
    """One bar after another; what :class:`regard.progress.Progress` asks for.

    Args:
        beside_results: results are printed meanwhile. Where both are seen on one terminal, the lines of the results
            show how the work goes, and a bar among them would only disturb.
    """

    def __init__(self, *, beside_results: bool = False) -> None:
        from rich.progress import MofNCompleteColumn, TextColumn

        counts, note = MofNCompleteColumn(), TextColumn("{task.fields[note]}", markup=False)
        self._progress = _progress(counts, note, hidden=beside_results and sys.stdout.isatty())

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start(self, title: str, total: int, *, done: int = 0) -> None:
        """A new stretch of ``total`` units begins, ``done`` of which are behind us; its bar replaces the last one."""
        self._progress.refresh()
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._progress.add_task(title, total=total, completed=done, note="")

    def advance(self, count: int, note: str = "") -> None:
        """``count`` more units are done."""
        for task in self._progress.task_ids:
            self._progress.update(task, advance=count, note=note)

    def say(self, line: str) -> None:
        """One line above the bar, which stays."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


class DownloadBar:
    """A bar of bytes; call it with the bytes done and the bytes in all (None where unknown).

    It appears with the first call, so that nothing shows where nothing is downloaded.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, done: int, total: int | None) -> None:
        if self._progress is None:
            self._progress = self._begin()
        for task in self._progress.task_ids:
            self._progress.update(task, completed=done, total=total)

    def _begin(self) -> Progress:
        from rich.progress import DownloadColumn, TransferSpeedColumn

        progress = _progress(DownloadColumn(), TransferSpeedColumn())
        progress.add_task(self._title, total=None)
        progress.start()
        return progress
