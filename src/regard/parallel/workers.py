"""Worker processes: each holds the same model and does batches of a long work, so that every core has its own.

A step of a search is some hundred short operations, too short to be shared among threads: where two threads of one
process translate a third faster than one, two processes of one thread each are another third faster. The process that
is asked reads the inputs, cuts them into batches, and makes results of what comes back; workers only compute. So little
travels (no photo does), and texts, their order, and what is drawn at random do not depend on how many workers there
are; scores and weights differ in their last digits, because work is cut into other batches.

Workers are processes of their own, which get their requests by pipe. A fork of this process could not use the threads
that OpenMP began before it; processes of :mod:`multiprocessing` would run the caller's program again, up to where it
asks for workers, unless it is written with care. A worker is ready within two seconds, most of which is importing
torch.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from itertools import chain, islice, starmap
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, BinaryIO, NoReturn, Self, TypeVar

from regard.errors import RegardError, WorkerError

Response = TypeVar("Response")
Loader = Callable[[], Any]
"""What gives a model; it is pickled by the name of its class or function."""
Arguments = tuple[Any, ...]
Request = tuple[str, Arguments]
"""The name of a method of the model, and what it is called with."""
Jobs = SimpleQueue[tuple[Future[Any], Request] | None]
"""The queue that a team of workers takes requests from, in order; None ends the dispatching to one of them."""

MIN_BATCH = 16
"""The smallest batch that is worth a process of its own."""
NUM_PREFETCHED = 2
"""Requests that are queued beyond one a worker; as many responses may wait for the caller."""
FEWER = "use fewer workers"
PROGRAM = "from regard.parallel.workers import serve; serve()"


class Workers:
    """Processes that hold the same model. Each starts when there is work for it, and stays for the next work.

    Args:
        load: gives the model; each worker is sent it and calls it once.
        count: how many share a work.
    """

    def __init__(self, load: Loader, *, count: int) -> None:
        self.count = count
        self._load = load
        self._alive: set[_Worker] = set()
        self._idle: list[_Worker] = []
        # none outlives this object or this process, whatever becomes of either
        weakref.finalize(self, _end_all, self._alive)

    def start(self) -> None:
        """Start all of them now, and wait until they are ready.

        Raises:
            RegardError: what loading raises, or one of them fails.
        """
        with ExitStack() as failing:
            failing.callback(self.close)
            self._idle += [self._start() for _ in range(len(self._idle), self.count)]
            for worker in self._idle:
                worker.await_ready()
            failing.pop_all()

    def close(self) -> None:
        """End them, whatever they are doing; the next work starts others."""
        self._idle.clear()
        _end_all(self._alive)

    def run(self, method: Callable[..., Response], requests: Iterable[Arguments]) -> Iterator[Response]:
        """What a method of the model gives for each request, in order.

        Args:
            method: of the model as this process holds it, which does a single request itself.
            requests: the arguments of each call; few more are made ahead than there are workers.

        Raises:
            RegardError: what the method or loading raises, or one of the workers fails.
        """
        requests = iter(requests)
        first = list(islice(requests, 2))
        if len(first) < 2:
            yield from starmap(method, first)
            return
        jobs: Jobs = SimpleQueue()
        waiting: deque[Future[Response]] = deque()
        team: list[_Worker] = []
        with ExitStack() as leaving:
            leaving.callback(_join_dispatchers, team)
            # those that are not done when nobody asks any more are not worth waiting for
            failing = leaving.enter_context(ExitStack())
            failing.callback(self._discard, team)
            for arguments in chain(first, requests):
                if len(team) < self.count:
                    team.append(self._take_worker(jobs))
                waiting.append(Future())
                jobs.put((waiting[-1], (method.__name__, arguments)))
                if len(waiting) > self.count + NUM_PREFETCHED:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
            failing.pop_all()
            self._idle += team

    def _take_worker(self, jobs: Jobs) -> _Worker:
        worker = self._idle.pop() if self._idle else self._start()
        worker.dispatch(jobs)
        return worker

    def _start(self) -> _Worker:
        worker = _Worker()
        self._alive.add(worker)
        worker.load(self._load)
        return worker

    def _discard(self, team: Sequence[_Worker]) -> None:
        self._alive.difference_update(team)
        _end(team)


class WorkSharing:
    """A model that does long work in batches: by itself, or with workers.

    Args:
        workers: which hold the same model; None to go without.
    """

    def __init__(self, workers: Workers | None) -> None:
        self._workers = workers

    def __reduce__(self) -> NoReturn:
        """A model is not sent to other processes, which load it themselves in less time.

        Raises:
            WorkerError: always.
        """
        raise WorkerError(
            f"a {type(self).__name__} cannot be pickled",
            remedy="give other processes its name and let each load it, or share the work with "
            "regard.load(..., workers=2)",
        )

    def start_workers(self) -> None:
        """Start the worker processes now and wait until they are ready; otherwise the first work worth it does.

        Raises:
            RegardError: what loading raises, or one of them fails.
        """
        if self._workers is not None:
            self._workers.start()

    def close(self) -> None:
        """End the worker processes, which otherwise end with this object. It can still be used."""
        if self._workers is not None:
            self._workers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def share(self, method: Callable[..., Response], requests: Iterable[Arguments]) -> Generator[Response]:
        """What a method of this object gives for each request, in order; made ahead only for workers."""
        yield from starmap(method, requests) if self._workers is None else self._workers.run(method, requests)

    def _balanced_batch(self, total: int, batch: int) -> int:
        """The size of batches, at most ``batch``, of which all workers get equally many of ``total`` units."""
        if self._workers is None or total <= batch:
            return batch
        # with two batches or more each, one that gets longer texts first gets shorter ones after
        rounds = max(2, math.ceil(total / (batch * self._workers.count)))
        return min(batch, max(MIN_BATCH, math.ceil(total / (rounds * self._workers.count))))


class _Worker:
    """One process, seen from the one that started it.

    Raises:
        WorkerError: it cannot be started.
    """

    def __init__(self) -> None:
        self._ready = False
        self._dispatcher: tuple[threading.Thread, Jobs] | None = None
        with ExitStack() as opened:
            self._stderr = opened.enter_context(tempfile.TemporaryFile())
            self._process = self._start()
            assert self._process.stdin is not None, "a pipe"
            assert self._process.stdout is not None, "a pipe"
            self._requests = opened.enter_context(self._process.stdin)
            self._responses = opened.enter_context(self._process.stdout)
            self._files = opened.pop_all()

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [sys.executable, "-P", "-c", PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                # Ctrl-C is for this process alone, which ends its workers itself: a group of its own, on Windows too
                process_group=0,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            raise WorkerError(f"a worker process cannot be started ({error.strerror})", remedy=FEWER) from None

    def load(self, load: Loader) -> None:
        """Send it what gives the model, and do not wait.

        Raises:
            WorkerError: it has ended.
        """
        self._send(load)

    def call(self, request: Request) -> Any:
        """What the model's method gives.

        Raises:
            RegardError: what loading or the method raises, or the process has ended.
        """
        self.await_ready()
        self._send(request)
        return self._receive()

    def await_ready(self) -> None:
        """Wait until the model is loaded.

        Raises:
            RegardError: likewise.
        """
        if not self._ready:
            self._receive()
            self._ready = True

    def dispatch(self, jobs: Jobs) -> None:
        """Hand it requests from the queue, in a thread of its own, until :func:`_join_dispatchers`."""
        thread = threading.Thread(target=_dispatch, args=(self, jobs), daemon=True, name="regard-dispatcher")
        self._dispatcher = (thread, jobs)
        thread.start()

    def stop_dispatching(self) -> threading.Thread | None:
        """End the dispatching to one worker of its team; returns the thread to wait for, if any."""
        if self._dispatcher is None:
            return None
        thread, jobs = self._dispatcher
        self._dispatcher = None
        jobs.put(None)
        return thread

    def kill(self) -> None:
        """End it at once: it holds nothing that would be lost."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close its pipes, when it has ended and nothing is dispatched to it any more."""
        with suppress(OSError):  # what it did not live to read
            self._files.close()

    def _send(self, value: Loader | Request) -> None:
        try:
            _send(self._requests, value)
        except BrokenPipeError:
            raise self._failure() from None

    def _receive(self) -> Any:
        try:
            response = pickle.load(self._responses)
        except (EOFError, pickle.UnpicklingError):
            raise self._failure() from None
        if isinstance(response, RegardError):
            raise response
        return response

    def _failure(self) -> WorkerError:
        """Why it responds no more."""
        status = self._process.wait()
        self._stderr.seek(0)
        stderr = self._stderr.read().decode("utf-8", "replace").strip()
        if status < 0:
            how = f"signal {-status} ({signal.strsignal(-status)})"
            error = WorkerError(f"a worker process was ended from outside by {how}", remedy=_remedy(status))
        else:
            reason = stderr.splitlines()[-1] if stderr else f"exit status {status}"
            error = WorkerError(f"a worker process failed: {reason}", remedy="without workers the same may tell more")
        if stderr:
            error.add_note(stderr)
        return error


def _remedy(status: int) -> str:
    """What to do about a worker that a signal ended, of which ``status`` is the negative number."""
    if status == -signal.SIGKILL:
        return f"if nobody ended it, memory ran out (see the system's log): {FEWER}"
    return "without workers the same may tell more"


def _dispatch(worker: _Worker, jobs: Jobs) -> None:
    """Hand requests to a worker, one after the other, until the queue gives None or the worker fails."""
    while (job := jobs.get()) is not None:
        response, request = job
        try:
            response.set_result(worker.call(request))
        except BaseException as error:  # whatever it is, it is raised where the response is awaited
            response.set_exception(error)
            return
        del job, response, request  # or what they hold is held until the next job


def _join_dispatchers(team: Iterable[_Worker]) -> None:
    """End the dispatching threads of these workers, all of their teams, and wait for them.

    A thread that is still there when the interpreter ends is cut off wherever it is, and where it is about to let go of
    a tensor, the whole process is aborted.
    """
    for thread in [worker.stop_dispatching() for worker in team]:
        if thread is not None and thread is not threading.current_thread():
            thread.join()


def _end(workers: Iterable[_Worker]) -> None:
    """End whole teams, whatever they are doing."""
    ended = list(workers)
    for worker in ended:
        worker.kill()
    _join_dispatchers(ended)
    for worker in ended:
        worker.close()


def _end_all(alive: set[_Worker]) -> None:
    """End all workers and forget them."""
    ended = set(alive)
    alive -= ended
    _end(ended)


def serve() -> None:
    """What a worker does: load a model, and respond to requests until the pipe is closed."""
    # standard output is for responses alone, whatever a package may print
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as responses:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        load: Loader = pickle.load(sys.stdin.buffer)
        try:
            model = load()
        except RegardError as error:
            _send(responses, error)
            return
        _send(responses, None)
        for name, arguments in _received(sys.stdin.buffer):
            try:
                _send(responses, getattr(model, name)(*arguments))
            except RegardError as error:
                _send(responses, error)


def _received(requests: BinaryIO) -> Iterator[Request]:
    with suppress(EOFError):
        while True:
            yield pickle.load(requests)


def _send(pipe: IO[bytes], value: object) -> None:
    pickle.dump(value, pipe, pickle.HIGHEST_PROTOCOL)
    pipe.flush()
