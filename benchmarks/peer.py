"""A peer that lives in an environment of its own: a process that is asked, line by line, to do its work.

The environment is made by ``make bench``; ``$REGARD_PEERS`` names another. Whatever goes wrong there is one
:class:`PeerError` with a reason, so that a row can say why it is empty.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
START_SECONDS = 120.0
ANSWER_SECONDS = 120.0


class PeerError(Exception):
    """A peer cannot be asked, or did not answer; the message is the reason."""


def peer_python() -> Path:
    """The interpreter of the environment of the peers.

    Raises:
        PeerError: there is none.
    """
    folder = Path(os.environ.get("REGARD_PEERS") or HERE.parent / ".venv-peers")
    python = folder / "bin" / "python"
    if not python.exists():
        raise PeerError("its environment is not there; make bench sets it up")
    return python


class Peer:
    """A running peer.

    Args:
        program: a file beside this one.
        job: what it gets to work on.
        threads: it may use.
        python: the interpreter that runs it.

    Attributes:
        versions: of what it runs, by name.

    Raises:
        PeerError: it cannot be started.
    """

    def __init__(self, program: str, job: Mapping[str, Any], *, threads: int, python: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="regard-bench-")
        self._errors = Path(self._folder.name, "errors.txt")
        job_file = Path(self._folder.name, "job.json")
        job_file.write_text(json.dumps({**job, "threads": threads}), encoding="utf-8")
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore"}
        read, write = os.pipe()
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [str(python), str(HERE / program), str(job_file), str(write)],
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
                text=True,
                pass_fds=[write],
                env={**os.environ, **offline, "OMP_NUM_THREADS": str(threads)},
            )
        os.close(write)
        self._answers = os.fdopen(read)
        try:
            self.versions: dict[str, str] = self._answer(START_SECONDS)
        except PeerError:
            self.close()
            raise

    def ask(self, work: str) -> dict[str, Any]:
        """Do a work once; the answer holds ``seconds``.

        Raises:
            PeerError: it failed, or took more than :data:`ANSWER_SECONDS`.
        """
        assert self._process.stdin is not None, "the peer listens"
        try:
            self._process.stdin.write(f"{work}\n")
            self._process.stdin.flush()
        except OSError:
            raise PeerError(self._reason()) from None
        return self._answer(ANSWER_SECONDS)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None, "the peer listened"
        with suppress(BrokenPipeError):  # what it did not live to read
            self._process.stdin.close()
        self._answers.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, seconds: float) -> dict[str, Any]:
        # one answer a request, so nothing waits in the buffer of the reader
        ready, _, _ = select.select([self._answers], [], [], seconds)
        if not ready:
            raise PeerError(f"no answer within {seconds:.0f} seconds")
        line = self._answers.readline()
        if not line:
            self._process.wait()
            raise PeerError(self._reason())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _reason(self) -> str:
        """The last thing it complained about."""
        lines = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " ".join(lines[-1].split())[:200] if lines else "it ended without a word"


class Guest:
    """A peer that takes part as far as it can.

    Args:
        start: gives the peer.

    Attributes:
        reason: why it does not take part, or no more; empty while it does.
        versions: of what it runs, by name.
        answers: the last answer to each work.
    """

    def __init__(self, start: Callable[[], Peer]) -> None:
        self.reason = ""
        self.versions: dict[str, str] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self._peer: Peer | None = None
        try:
            self._peer = start()
            self.versions = self._peer.versions
        except PeerError as error:
            self.reason = str(error)

    def work(self, name: str) -> Callable[[], None]:
        """What asks it to do ``name``; once something has failed, nothing is asked any more."""

        def ask() -> None:
            if self._peer is None or self.reason:
                return
            try:
                self.answers[name] = self._peer.ask(name)
            except PeerError as error:
                self.reason = str(error)

        return ask

    def value(self, measured: float) -> float | None:
        """A figure of this peer, if it stayed to the end."""
        return None if self.reason else measured

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._peer is not None:
            self._peer.close()
