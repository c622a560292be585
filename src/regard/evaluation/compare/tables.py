"""Tables of Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    """A table; the columns after the first ``left`` are numbers and stand at the right."""
    marks = ["---" if column < left else "---:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, marks, *rows])
