"""Whatever goes wrong, the command line says one line and leaves with the right status."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regard.cli import main
from regard.cli.app import app
from regard.cli.memory import FEW_PRIMITIVES, LARGE_PAGES, hold_memory
from regard.cli.report import echo, echo_json, table
from regard.errors import ImageError, Interrupted, RegardError

Add = Callable[[Callable[[], None]], None]


@pytest.fixture
def command() -> Iterator[Add]:
    """Adds a command called ``probe`` for one test."""
    before = list(app.registered_commands)

    def add(function: Callable[[], None]) -> None:
        app.command("probe")(function)

    yield add
    app.registered_commands[:] = before


def raising(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


def test_success_is_zero(command: Add, capsys: pytest.CaptureFixture[str]) -> None:
    command(lambda: echo("done"))
    assert main(["probe"]) == 0
    assert capsys.readouterr() == ("done\n", "")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (RegardError("no\nmodel 'x'", allowed="y", remedy="do z"), 1, "error: no model 'x'; allowed: y; do z\n"),
        (ImageError("a.jpg", "is empty"), 1, "error: a.jpg: is empty\n"),
        (Interrupted("stopped after epoch 3"), 130, "error: stopped after epoch 3\n"),
        (KeyboardInterrupt(), 130, "error: stopped\n"),
        (PermissionError(13, "Permission denied", "/out/page.html"), 1, "error: /out/page.html: Permission denied\n"),
        (OSError("disk"), 1, "error: disk\n"),
        (MemoryError(), 1, "error: there is not enough memory; lower --beam or --workers, or end other programs\n"),
        (
            ZeroDivisionError("one\ntwo"),
            70,
            "error: internal error: ZeroDivisionError: one two; "
            "please report this, with the output under REGARD_DEBUG=1\n",
        ),
    ],
)
def test_an_error_is_one_line_and_a_status(
    error: BaseException, status: int, line: str, command: Add, capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(error))
    assert main(["probe"]) == status
    assert capsys.readouterr() == ("", line)


def test_debug_shows_where(command: Add, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGARD_DEBUG", "1")
    command(raising(ZeroDivisionError("oops")))
    assert main(["probe"]) == 70
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.endswith("REGARD_DEBUG=1\n")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["capshun"], "No such command 'capshun'"),
        (["--wrong"], "No such option: --wrong"),
        (["doctor", "--jsn"], "see: regard doctor --help"),
        (["doctor", "extra"], "unexpected extra argument"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_two(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert part in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_alone_it_shows_the_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert "Commands:" in capsys.readouterr().out


def test_a_reader_that_leaves_early_is_no_error() -> None:
    program = (
        "import sys, typer\nfrom regard.cli import main\nfrom regard.cli.app import app\n"
        "@app.command()\ndef flood():\n    while True: typer.echo('x' * 1000)\n"
        "sys.exit(main(['flood']))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 1


def test_sigterm_stops_like_ctrl_c(command: Add, capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> None:
        signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    command(stop)
    try:
        assert main(["probe"]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == "error: stopped\n"


def test_names_that_are_not_text_still_print(command: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    name = os.fsdecode(b"caf\xe9.jpg")

    def function() -> None:
        echo(name)
        echo_json({"path": name})

    command(function)
    assert main(["probe"]) == 0
    assert raw.getvalue().decode() == 'caf\\udce9.jpg\n{"path": "caf\\udce9.jpg"}\n'


def test_json_stays_json_where_the_terminal_is_not_unicode(command: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))

    def function() -> None:
        echo("Fuß 🦶")
        echo_json("Fuß 🦶")

    command(function)
    assert main(["probe"]) == 0
    assert raw.getvalue() == b'Fu\xdf \\U0001f9b6\n"Fu\\u00df \\ud83e\\uddb6"\n'


def test_columns_stand_under_each_other() -> None:
    assert table([("a", "bcd", ""), ("efg", "h", "i")]) == ["a    bcd", "efg  h    i"]
    assert table([]) == []


def test_the_module_runs_like_the_command(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "regard", "--version"], cwd=tmp_path, capture_output=True, check=True, timeout=60
    )
    assert result.stdout.decode().strip()


def test_memory_is_held_well_unless_the_user_says_otherwise(command: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    every, seen = FEW_PRIMITIVES | LARGE_PAGES, list[dict[str, str | None]]()
    command(lambda: seen.append({name: os.environ.get(name) for name in every}))
    for name in every:
        monkeypatch.delenv(name, raising=False)
    assert main(["probe"]) == 0
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    hold_memory(training=True)
    assert main(["probe"]) == 0
    usual = {**FEW_PRIMITIVES, **dict.fromkeys(LARGE_PAGES)}
    assert seen == [usual, every | {"LRU_CACHE_CAPACITY": "7"}]


def test_memory_that_onednn_would_die_of_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "abc")
    assert main(["models"]) == 1
    assert capsys.readouterr().err == (
        "error: the environment variable LRU_CACHE_CAPACITY is 'abc'; allowed: a whole number; unset it\n"
    )
