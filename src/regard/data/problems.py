"""What is wrong with data: one row for each thing, with the file, the line, the reason and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

LONGEST_REASON = 300
"""A name that a damaged file holds may be as long as the file."""


@dataclass(frozen=True)
class Problem:
    """One thing in a data set that cannot be used, or should not be.

    Attributes:
        file: the file that it is about.
        reason: what is wrong, without a full stop.
        line: where in ``file``, counted from 1; None where it is about the whole file.
        remedy: what to do; empty where that is obvious.
        split: the split that it belongs to; empty where it belongs to none, or to all of them.
        harmless: whether the data are whole without what it is about, such as a row that stands twice.
    """

    file: str
    reason: str
    line: int | None = None
    remedy: str = ""
    split: str = ""
    harmless: bool = False

    def __post_init__(self) -> None:
        if len(self.reason) > LONGEST_REASON:
            object.__setattr__(self, "reason", f"{self.reason[:LONGEST_REASON]}…")

    def __str__(self) -> str:
        place = f"{self.file}: " if self.line is None else f"{self.file}: line {self.line}: "
        return " ".join((place + "; ".join(filter(None, (self.reason, self.remedy)))).split())

    def to_dict(self) -> dict[str, Any]:
        """Plain data: ``file``, ``line``, ``reason``, ``remedy`` and ``split``."""
        return {name: value for name, value in asdict(self).items() if name != "harmless"}
