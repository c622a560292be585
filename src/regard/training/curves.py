"""``curves.png`` of a run folder: what its log says of loss, reward and score, as a picture."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from regard.files import write_file

CURVES = "curves.png"


def draw_curves(folder: Path, log: Path, *, metric: str) -> None:
    """Draw a run from its log: loss and reward in training, and the validation score that chooses the best epoch.

    Args:
        folder: of the run.
        log: JSON lines with ``step``, the epoch, and numbers by name.
        metric: the name of the score.

    Raises:
        DataError: the picture cannot be written.
    """
    from regard.views.learning_curves import Curve, learning_curves

    # an epoch that was run again after a kill has two lines, or a line that was cut off
    epochs = {values["step"]: values for values in _whole_lines(log)}
    rows = [epochs[step] for step in sorted(epochs)]
    curves = [Curve(name, points) for name in ("loss", "reward") if (points := _points(rows, name))]
    if scores := _points(rows, metric):
        best, _ = max(scores, key=lambda point: point[1])
        curves.append(Curve(f"{metric} (validation)", scores, best))
    if curves:
        picture = io.BytesIO()
        learning_curves(curves).save(picture, "PNG")
        write_file(folder / CURVES, picture.getvalue())


def _whole_lines(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(json.JSONDecodeError):
            yield json.loads(line)


def _points(rows: Sequence[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(row["step"], row[name]) for row in rows if isinstance(row.get(name), int | float)]
