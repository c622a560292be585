"""How long work tells its caller where it stands; the library itself never prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives progress. The command line draws bars with it; :class:`Silent` drops it."""

    def start(self, title: str, total: int, *, done: int = 0) -> None:
        """A new stretch of ``total`` units begins, ``done`` of which are behind us."""

    def advance(self, count: int, note: str = "") -> None:
        """``count`` more units are done; ``note`` says how it goes, such as tokens per second."""

    def say(self, line: str) -> None:
        """One line worth keeping."""


class Silent:
    """Progress that nobody watches."""

    def start(self, title: str, total: int, *, done: int = 0) -> None:
        """Drop it."""

    def advance(self, count: int, note: str = "") -> None:
        """Drop it."""

    def say(self, line: str) -> None:
        """Drop it."""
