"""``curves.png`` of a run folder: what its log says of loss, reward and score, as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regard.files import write_file

CURVES = "curves.png"


def draw_curves(folder: Path, rows: Sequence[Mapping[str, Any]], *, metric: str) -> None:
    """Draw a run from its log: loss and reward in training, and the validation score that chooses the best epoch.

    Args:
        folder: of the run.
        rows: of its log: ``step``, the epoch, and numbers by name.
        metric: the name of the score.

    Raises:
        DataError: the picture cannot be written.
    """
    from regard.views.learning_curves import Curve, learning_curves

    curves = [Curve(name, points) for name in ("loss", "reward") if (points := _points(rows, name))]
    if scores := _points(rows, metric):
        best, _ = max(scores, key=lambda point: point[1])
        curves.append(Curve(f"{metric} (validation)", scores, best))
    if curves:
        picture = io.BytesIO()
        learning_curves(curves).save(picture, "PNG")
        write_file(folder / CURVES, picture.getvalue())


def _points(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(row["step"], row[name]) for row in rows if isinstance(row.get(name), int | float)]
