"""A terminal shows bars; a log gets plain lines, few of them and each whole; lines worth keeping show everywhere."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from regard.cli import main
from regard.cli.progress import ShownProgress

WORK = """
from regard.cli.progress import ShownProgress
with ShownProgress() as progress:
    progress.start("epoch 1", 4)
    progress.advance(3, "[b]7 tokens/s")
    progress.log("epoch 1 [bleu4] " + "9" * 200)
    progress.start("epoch 2", 5, done=2)
    progress.start("weights of x", 4_000_000, unit="B")
    progress.advance(1_000_000)
"""


RECIPE = """
name: tiny
data: {format: parallel, folder: nowhere, source: en, target: de}
model:
  encoder: {name: recurrent}
  decoder: {name: rnnsearch}
phases: [{epochs: 1}]
"""


class Clock:
    """Passes as it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of progress."""
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    monkeypatch.setattr("regard.cli.progress.SECONDS_BETWEEN_LINES", 10)
    return clock


def test_short_work_that_no_terminal_shows_leaves_only_lines_worth_keeping(capfd: pytest.CaptureFixture[str]) -> None:
    exec(WORK, {})
    assert capfd.readouterr() == ("", "epoch 1 [bleu4] " + "9" * 200 + "\n")


def test_long_work_that_no_terminal_shows_tells_itself_in_few_lines(
    clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    with ShownProgress() as shown:
        shown.start("features", 8_000)
        for _ in range(100):
            clock.now += 1
            shown.advance(40)
        shown.start("epoch 1", 50, done=10)
        for _ in range(20):
            clock.now += 1
            shown.advance(1, "loss 2.50")
    out, err = capfd.readouterr()
    assert out == ""
    assert "\r" not in err
    lines = err.splitlines(keepends=True)
    assert all(line.endswith("\n") for line in lines)
    assert len(lines) == 120 / 10
    assert lines[0] == "features: 400/8,000, 40/s, 3 min 10 s left\n"
    assert lines[-1] == "epoch 1: 30/50, 1/s, 20 s left, loss 2.50\n"


def test_what_has_no_total_tells_no_time_left(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    with ShownProgress() as shown:
        shown.start("weights", None, unit="B")
        clock.now += 20
        shown.advance(5_000_000)
    assert capfd.readouterr().err == "weights: 5.0 MB, 0.2 MB/s\n"


def test_an_error_after_a_line_begins_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fail(monkeypatch)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    assert main(["train", str(recipe)]) == 1
    assert capfd.readouterr().err == "10 captions are cut\nerror: the disk is full\n"


def fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training say a line and end in an error."""
    from regard.errors import ModelError

    def run(*_: object, progress: ShownProgress, **__: object) -> None:
        progress.log("10 captions are cut")
        progress.start("features", 10)
        raise ModelError("the disk is full")

    monkeypatch.setattr("regard.training.run.train", run)


def test_a_terminal_shows_titles_counts_and_notes() -> None:
    shown = shown_on_a_terminal(WORK)
    for part in ("epoch 1", "3/4", "[b]7 tokens/s", "[bleu4]", "epoch 2", "2/5", "weights of x", "1.0/4.0 MB"):
        assert part in shown


def test_on_a_terminal_too_an_error_after_a_line_begins_a_line() -> None:
    program = WORK + "from regard.cli.report import echo_error\necho_error('the disk is full')\n"
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown_on_a_terminal(program))
    assert shown.endswith("\nerror: the disk is full\r\n") or shown.endswith("\rerror: the disk is full\r\n")


def shown_on_a_terminal(program: str) -> str:
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    with subprocess.Popen([sys.executable, "-c", program], stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b"".join(_chunks(leader))
    os.close(leader)
    assert process.returncode == 0, shown.decode()
    return shown.decode()


def _chunks(terminal: int) -> Iterator[bytes]:
    # Linux ends a terminal whose other side is closed with an error, other systems with nothing
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 4096):
            yield chunk


def test_nothing_shows_where_nothing_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    with ShownProgress():
        pass
    assert capfd.readouterr() == ("", "")
