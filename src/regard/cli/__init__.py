"""The command line, ``regard COMMAND …``: thin, one file per command.

Exit statuses: 0 all went well, 1 something that was given could not be used, 2 the command line itself was wrong, 70 a
defect of regard's own, 130 stopped with Ctrl-C or SIGTERM. No torch here: a command imports what it needs when it runs.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence

import typer
from typer.main import get_command

from regard.cli.app import app
from regard.cli.memory import hold_memory
from regard.cli.report import echo_error
from regard.cli.streams import open_closed_streams, silence_libraries
from regard.errors import LESS_MEMORY, Interrupted, OutOfMemory, RegardError, is_out_of_memory

USER_ERROR = 1
USAGE_ERROR = 2
INTERNAL_ERROR = 70
"""EX_SOFTWARE of BSD's sysexits.h."""
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; never raises, never shows a traceback.

    Args:
        arguments: the words after ``regard``; None takes them from the process.

    The environment variable ``REGARD_DEBUG=1`` shows the traceback of whatever went wrong.
    """
    open_closed_streams()
    if arguments is None:
        silence_libraries()
    try:
        _let_every_name_print()
        _stop_when_asked()
        status = _run(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return USER_ERROR
    return status


def _run(arguments: list[str]) -> int:
    try:
        hold_memory()
        status = get_command(app).main(arguments, prog_name="regard", standalone_mode=False)
    except SystemExit as leaving:  # typer's answer to a reader that has gone
        return USER_ERROR if leaving.code else 0
    except (RegardError, typer.TyperException, typer.Abort, OSError, KeyboardInterrupt) as error:
        _show_traceback_if_asked()
        message, status = _explain(error)
        echo_error(message)
        return status
    except Exception as error:  # the one place where a defect of ours becomes a line instead of a traceback
        _show_traceback_if_asked()
        if is_out_of_memory(error):
            echo_error(OutOfMemory("there is not enough memory", remedy=LESS_MEMORY))
            return USER_ERROR
        what = " ".join(f"{type(error).__name__}: {error}".split())
        echo_error(f"internal error: {what}; please report this, with the output under REGARD_DEBUG=1")
        return INTERNAL_ERROR
    if status == INTERRUPTED:  # typer turns Ctrl-C within a command into this status, without a word
        echo_error("stopped")
    return status or 0


def _let_every_name_print() -> None:
    """Escape what standard output cannot show, such as a file name that is not text, instead of failing on it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _stop_when_asked() -> None:
    """Take SIGTERM, which schedulers and shutdowns send, for Ctrl-C: what is under way is kept, and told."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _explain(error: BaseException) -> tuple[str, int]:
    """The line and the exit status for what a user can cause."""
    match error:
        case Interrupted():
            return str(error), INTERRUPTED
        case RegardError():
            return str(error), USER_ERROR
        case typer.TyperException():
            context = getattr(error, "ctx", None)
            command = "regard" if context is None else context.command_path
            return f"{error.format_message().rstrip('.')}; see: {command} --help", USAGE_ERROR
        case OSError(filename=None, errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG | errno.EIO):
            # files of ours name themselves
            return f"standard output cannot be written ({error.strerror}); send it elsewhere, or make room", USER_ERROR
        case OSError():
            where = "" if error.filename is None else f"{error.filename}: "
            return f"{where}{error.strerror or error}", USER_ERROR
        case _:
            return "stopped", INTERRUPTED


def _show_traceback_if_asked() -> None:
    if os.environ.get("REGARD_DEBUG") == "1":
        traceback.print_exc()


def _silence_stdout() -> None:
    """Let go of a pipe whose reader has gone, or Python complains about it once more when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
