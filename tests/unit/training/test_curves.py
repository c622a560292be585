"""The picture of a run shows what its log says, whatever a kill left in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from regard.training.curves import CURVES, draw_curves
from regard.training.log import RunLog, read_log
from regard.views.learning_curves import round_ticks


def test_every_line_of_the_log_draws_the_picture_anew(tmp_path: Path) -> None:
    log = RunLog(tmp_path, metric="cider")
    log.write("beginning", 0, {"cider": 40.0})
    with Image.open(tmp_path / CURVES) as score_alone:
        assert score_alone.height < score_alone.width < 700
    log.write("epoch", 1, {"loss": 3.5, "cider": float("nan")})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"kind": "epoch", "st')
    log.write("epoch", 2, {"loss": 3.0, "cider": 45.0})
    log.write("epoch", 3, {"loss": 2.9, "cider": 44.0})
    log.close()
    with Image.open(tmp_path / CURVES) as both:
        assert both.width == 2 * score_alone.width
        assert (213, 94, 0) in {colour for _, colour in both.getcolors(1 << 16) or []}, "the best epoch is marked"


def test_of_an_epoch_that_was_run_again_the_log_says_the_last(tmp_path: Path) -> None:
    assert read_log(tmp_path) == []
    first, cut_off, again, second = '{"step": 1, "loss": 9}', '{"step": 2, "lo', '{"step": 1, "loss": 3}', '{"step": 2}'
    (tmp_path / "log.jsonl").write_text("\n".join([first, second, cut_off, again]) + "\n")
    assert read_log(tmp_path) == [{"step": 1, "loss": 3}, {"step": 2}]


def test_a_log_of_other_numbers_draws_nothing(tmp_path: Path) -> None:
    draw_curves(tmp_path, [{"kind": "epoch", "step": 1, "other": 3}], metric="cider")
    assert not (tmp_path / CURVES).exists()


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        (3, 3, [3, 4, 5, 6]),
        (0, 0, [0, 0.2]),
        (92.8, 97.2, [92, 93, 94, 95, 96, 97, 98]),
        (0.001, 0.0012, [0.001]),
        (1e-13, 1e-13, [1e-13]),
        (100, 100 + 1e-9, [100]),
    ],
)
def test_ticks_are_round_and_span_the_values(lowest: float, highest: float, expected: list[float]) -> None:
    ticks = round_ticks(lowest, highest)
    assert ticks[0] == pytest.approx(expected[0])
    assert ticks[0] < ticks[-1]
    assert ticks[-1] >= highest * (1 - 1e-6)
    assert len(ticks) <= 8
