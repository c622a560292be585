"""The log of a run: JSON lines and a picture of them always, TensorBoard where it is installed."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regard.training.curves import draw_curves
from regard.training.distributed import is_first

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


LOG = "log.jsonl"


def read_log(folder: Path) -> list[dict[str, Any]]:
    """What the log of a run says of each epoch, ``step`` and numbers by name, in order; empty where there is no log.

    An epoch that was run again after a kill has two lines, or a line that was cut off: the last whole one counts.
    """
    epochs = {}
    with suppress(FileNotFoundError):
        for line in (folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(json.JSONDecodeError):
                row = json.loads(line)
                epochs[row["step"]] = row
    return [epochs[step] for step in sorted(epochs)]


class RunLog:
    """Appends to ``log.jsonl`` in a run folder, and to ``tensorboard/`` beside it, and draws ``curves.png``.

    Args:
        folder: of the run.
        metric: the validation score that is drawn.
    """

    def __init__(self, folder: Path, *, metric: str) -> None:
        self._folder, self._metric = folder, metric
        self._path = folder / LOG
        self._board = _board(folder / "tensorboard") if is_first() else None

    def write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """One line of JSON: what kind it is, at which step over the whole run, and its values; null for what is no
        number. Only the first of several processes writes."""
        if not is_first():
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "step": step, **_finite(values)}, allow_nan=False) + "\n")
        draw_curves(self._folder, read_log(self._folder), metric=self._metric)
        if self._board is None:
            return
        for name, value in values.items():
            if isinstance(value, int | float):
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Flush what is buffered."""
        if self._board is not None:
            self._board.close()


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with None for numbers that JSON cannot hold."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }


def _board(folder: Path) -> SummaryWriter | None:
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))
