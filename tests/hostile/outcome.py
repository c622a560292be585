"""What came of the inputs of an attack, and running one of them where it can do no harm."""

from __future__ import annotations

import os
import resource
import signal
import time
import traceback
from collections.abc import Callable

from regard.errors import RegardError

SECONDS = 5
MEMORY = 2 * 2**30
ANSWERED, REFUSED, FAILED = range(3)
SHOWN = 20
"""How many failures are printed of each attack."""


class Outcomes:
    """Counts what came of the inputs of one attack.

    Args:
        name: of the attack.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts = [0, 0, 0]
        self.slowest = (0.0, "")
        self.largest = (0, "")

    def add(self, outcome: int, what: str, *, seconds: float = 0.0, num_bytes: int = 0, why: str = "") -> None:
        """Count one input.

        Args:
            outcome: what came of it.
            what: which input it was, to make it again.
            seconds, num_bytes: what it took, of the processor and of memory.
            why: what went wrong.
        """
        self.counts[outcome] += 1
        self.slowest = max(self.slowest, (seconds, what))
        self.largest = max(self.largest, (num_bytes, what))
        if outcome == FAILED and self.counts[FAILED] <= SHOWN:
            print(f"FAILED {self.name}: {what}: {why}", flush=True)

    def row(self, seconds: float) -> str:
        """One line of the table."""
        answered, refused, failed = self.counts
        slowest, largest = self.slowest, self.largest
        size = f", largest {largest[0] / 2**20:,.0f} MB ({largest[1]:.60})" if largest[0] else ""
        return (
            f"{self.name}: {sum(self.counts):,} tried, {failed:,} failed, {answered:,} answered, {refused:,} refused "
            f"in {seconds:,.0f} s; slowest {slowest[0]:.2f} s ({slowest[1]:.60}){size}"
        )


def run_here(work: Callable[[], object], what: str, outcomes: Outcomes) -> None:
    """Run something quick in this process."""
    began = time.process_time()
    try:
        work()
        outcome, why = ANSWERED, ""
    except RegardError:
        outcome, why = REFUSED, ""
    except BaseException as error:
        outcome, why = FAILED, f"{type(error).__name__}: {error!s:.200}"
    taken = time.process_time() - began
    if outcome != FAILED and taken > SECONDS:
        outcome, why = FAILED, f"took {taken:.1f} s"
    outcomes.add(outcome, what, seconds=taken, why=why)


def run_apart(work: Callable[[], object], what: str, outcomes: Outcomes) -> None:
    """Run something in a fork of this process that may take :data:`SECONDS` and :data:`MEMORY` and no more."""
    child = os.fork()
    if child == 0:
        _run_bounded(work)
    _, status, usage = os.wait4(child, 0)
    taken = usage.ru_utime + usage.ru_stime
    code = os.waitstatus_to_exitcode(status)
    outcome = code if code in (ANSWERED, REFUSED) else FAILED
    why = (
        "" if outcome != FAILED else f"took more than {SECONDS} s" if code == -signal.SIGALRM else f"ended with {code}"
    )
    outcomes.add(outcome, what, seconds=taken, num_bytes=usage.ru_maxrss * 1024, why=why)


def _run_bounded(work: Callable[[], object]) -> None:
    """Run ``work`` in a child process, which ends here with what came of it."""
    code = FAILED
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.signal(signal.SIGPROF, lambda *_: os.kill(os.getpid(), signal.SIGALRM))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60 * SECONDS)  # of the clock, for what waits without computing
        work()
        code = ANSWERED
    except RegardError:
        code = REFUSED
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
