"""Progress of long work, reported to the caller; the library itself never prints."""

from __future__ import annotations

import time
from typing import Protocol


class Progress(Protocol):
    """Receives progress. The command line shows it; :class:`Silent` drops it."""

    def start(self, title: str, total: int | None, *, done: int = 0, unit: str = "") -> None:
        """A new stage begins.

        Args:
            title: what is done.
            total: how many units there are; None where that is unknown.
            done: how many of them are done already.
            unit: what is counted, empty for things that have no unit; ``B`` stands for bytes.
        """

    def advance(self, count: int, note: str = "") -> None:
        """``count`` more units are done; ``note`` says how it goes, such as tokens per second."""

    def log(self, line: str) -> None:
        """A line for the log."""


class Silent:
    """Discards progress."""

    def start(self, title: str, total: int | None, *, done: int = 0, unit: str = "") -> None:
        """Drop it."""

    def advance(self, count: int, note: str = "") -> None:
        """Drop it."""

    def log(self, line: str) -> None:
        """Drop it."""


SILENT = Silent()


class Stage:
    """One stage of long work: how much is done, how fast it goes, and how long the rest takes at that rate.

    Args:
        title, total, done, unit: as for :meth:`Progress.start`.
    """

    def __init__(self, title: str, total: int | None, *, done: int = 0, unit: str = "") -> None:
        self.title, self.total, self.done, self.unit = title, total, done, unit
        self.note = ""
        self._first, self._began = done, time.monotonic()

    def advance(self, count: int, note: str = "") -> None:
        """``count`` more units are done."""
        self.done += count
        self.note = note

    @property
    def rate(self) -> float | None:
        """Units per second since the stage began; None before there are any."""
        seconds = time.monotonic() - self._began
        return (self.done - self._first) / seconds if self.done > self._first and seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """None where it cannot be fields."""
        rate = self.rate
        return None if rate is None or self.total is None else max(0, self.total - self.done) / rate

    def counts(self) -> str:
        """How much is done, such as ``3/4`` or ``1.2/20.5 MB``."""
        parts = [self.done] if self.total is None else [self.done, self.total]
        if self.unit == "B":
            return "/".join(f"{part / 1e6:.1f}" for part in parts) + " MB"
        return "/".join(f"{part:,}" for part in parts) + (f" {self.unit}" if self.unit else "")

    def __str__(self) -> str:
        """One line with all of it, such as ``features: 300/8,091, 41.5/s, 3 min 7 s left``."""
        fields = [f"{self.title}: {self.counts()}"]
        rate, left = self.rate, self.seconds_left
        if rate is not None:
            fields.append(f"{rate / 1e6:.1f} MB/s" if self.unit == "B" else f"{rate:.3g}/s")
        if left is not None:
            fields.append(f"{duration(left)} left")
        return ", ".join([*fields, self.note] if self.note else fields)


def duration(seconds: float) -> str:
    """Such as ``12 s``, ``3 min 7 s`` or ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
