"""Closed standard streams are one line; terminals show what they would obey; JSON stays on one line."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from regard.cli import main
from regard.cli.report import json_line
from regard.cli.streams import as_shown


def run(arguments: str, redirections: str) -> subprocess.CompletedProcess[str]:
    """A command of its own, started by a shell as users start them."""
    command = f'exec "$0" -m regard {arguments} {redirections}'
    return subprocess.run(["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "redirections", "status", "line"),
    [
        ("models", ">&-", 1, "error: standard output is closed; send it to a file or to /dev/null"),
        ("--help", ">&-", 1, "error: standard output is closed"),
        ("models --json", ">&-", 1, "error: standard output is closed"),
        ("translate", "<&-", 1, "error: standard input is closed; give texts on the command line, or --file"),
        ("models", "2>&-", 0, ""),
        ("no-such-command", "2>&-", 2, ""),
        ("models", "<&- >&- 2>&-", 1, ""),
    ],
)
def test_closed_streams_are_one_line_or_silence(arguments: str, redirections: str, status: int, line: str) -> None:
    done = run(arguments, redirections)
    assert done.returncode == status
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == bool(line)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_a_full_disk_is_one_line() -> None:
    done = run("models", "> /dev/full")
    assert (done.returncode, done.stderr) == (
        1,
        "error: standard output cannot be written (No space left on device); send it elsewhere, or make room\n",
    )


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


NAME = "\x1b]0;owned\x07\u202egpj.exe\u2066\x9b31m"


def test_a_terminal_shows_what_it_would_obey() -> None:
    assert as_shown(NAME, Terminal()) == r"\x1b]0;owned\x07\u202egpj.exe\u2066\x9b31m"
    assert as_shown("a\tb é 👩‍👧 می‌خواهم", Terminal()) == "a\tb é 👩‍👧 می‌خواهم"
    assert as_shown(NAME, io.StringIO()) == NAME
    assert as_shown(NAME, None) == NAME


def test_names_of_files_are_escaped_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    error = Terminal()
    monkeypatch.setattr(sys, "stderr", error)
    assert main(["caption", "--model", f"/{NAME}", "photo.jpg"]) == 1
    assert error.getvalue().startswith(r"error: /\x1b]0;owned\x07\u202egpj.exe")
    assert "\x1b" not in error.getvalue()


@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_is_one_line_for_every_reader(ascii_only: bool) -> None:
    value = {"a\u2028b": "c\u2029d\x85e\x9b\x7f\nf\u202e"}
    line = json_line(value, ascii_only=ascii_only)
    assert len(line.splitlines()) == 1
    assert json.loads(line) == value
    assert not set(line) & set("\u2028\u2029\x85\x9b\x7f")


def test_warnings_of_libraries_do_not_reach_the_user() -> None:
    def report(flags: Sequence[str]) -> str:
        program = (
            "import logging, sys, warnings, regard.cli\n"
            "@regard.cli.app.command()\n"
            "def noisy() -> None:\n"
            "    warnings.warn('of a library')\n"
            "    logging.getLogger('library').error('of a library')\n"
            "sys.argv = ['regard', 'noisy']\n"
            "sys.exit(regard.cli.main())\n"
        )
        command = [sys.executable, *flags, "-c", program]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stderr

    assert report([]) == ""
    assert "of a library" in report(["-W", "default"])
