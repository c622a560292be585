"""Bars show on a terminal and nowhere else; lines worth keeping show everywhere."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from regard.cli.progress import Bars, DownloadBar

WORK = """
from regard.cli.progress import Bars, DownloadBar
with Bars() as bars:
    bars.start("epoch 1", 4)
    bars.advance(3, "[b]7 tokens/s")
    bars.say("epoch 1 [bleu4] " + "9" * 200)
    bars.start("epoch 2", 5, done=2)
with DownloadBar("weights of x") as download:
    download(1, None)
    download(2, 4)
"""


def test_without_a_terminal_only_lines_show(capfd: pytest.CaptureFixture[str]) -> None:
    exec(WORK, {})
    assert capfd.readouterr() == ("", "epoch 1 [bleu4] " + "9" * 200 + "\n")


def test_a_terminal_shows_titles_counts_and_notes() -> None:
    shown = shown_on_a_terminal(WORK)
    for part in ("epoch 1", "3/4", "[b]7 tokens/s", "[bleu4]", "epoch 2", "2/5", "weights of x"):
        assert part in shown


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


def test_nothing_shows_where_nothing_is_downloaded(capfd: pytest.CaptureFixture[str]) -> None:
    with DownloadBar("weights"):
        pass
    with Bars():
        pass
    assert capfd.readouterr() == ("", "")
