"""What came of the attempts of an attack, and trying one of them where it can do no harm."""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from regard.errors import RegardError
from regard.pipeline.isolation import REPORT

SECONDS = 5
MEMORY = 2 * 2**30
ANSWERED, REFUSED, FAILED = range(3)
SHOWN = 20
"""How many failures are kept of each attack."""


def chance_of(attack: str, number: int) -> random.Random:
    """The random numbers of one attempt, which do not depend on other attempts."""
    return random.Random(f"{attack} {number}")


@dataclass
class Outcomes:
    """What came of attempts.

    Attributes:
        counts: of attempts that were answered, refused with an error of ours, and failed.
        slowest: seconds of the processor, and the attempt.
        largest: bytes of memory, and the attempt; 0 where it was not measured.
        failures: the first that failed, and why.
    """

    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    slowest: tuple[float, str] = (0.0, "")
    largest: tuple[int, str] = (0, "")
    failures: list[str] = field(default_factory=list)

    def add(self, outcome: int, what: str, *, seconds: float = 0.0, num_bytes: int = 0, why: str = "") -> None:
        """Count one attempt.

        Args:
            outcome: what came of it.
            what: which attempt it was, to make it again.
            seconds, num_bytes: what it took, of the processor and of memory.
            why: what went wrong.
        """
        counts = [int(outcome == each) for each in (ANSWERED, REFUSED, FAILED)]
        failures = [f"{what}: {why}"] if outcome == FAILED else []
        self.merge(Outcomes(counts, (seconds, what), (num_bytes, what), failures))

    def merge(self, other: Outcomes) -> None:
        """Add what came of other attempts."""
        self.counts = [one + another for one, another in zip(self.counts, other.counts, strict=True)]
        self.slowest = max(self.slowest, other.slowest)
        self.largest = max(self.largest, other.largest)
        self.failures = [*self.failures, *other.failures][:SHOWN]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Outcomes:
        """The inverse of :meth:`to_dict`."""
        slowest, largest = (tuple(values[name]) for name in ("slowest", "largest"))
        return cls(values["counts"], slowest, largest, values["failures"])


def judge(error: BaseException) -> tuple[int, str]:
    """Whether an error refuses what was given, or is a failure, and then what it says.

    What the isolation of inputs made an error of ours is a failure as well.
    """
    if isinstance(error, RegardError) and REPORT not in str(error):
        return REFUSED, ""
    return FAILED, f"{type(error).__name__}: {error!s:.300}"


def try_here(work: Callable[[], object], what: str, outcomes: Outcomes) -> None:
    """Try something quick in this process."""
    began = time.process_time()
    try:
        work()
        outcome, why = ANSWERED, ""
    except BaseException as error:
        outcome, why = judge(error)
    taken = time.process_time() - began
    if outcome != FAILED and taken > SECONDS:
        outcome, why = FAILED, f"took {taken:.1f} s"
    outcomes.add(outcome, what, seconds=taken, why=why)


def try_apart(work: Callable[[], object], what: str, outcomes: Outcomes) -> None:
    """Try something in a fork of this process that may take :data:`SECONDS` and :data:`MEMORY` and no more."""
    reason, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reason)
        _run_bounded(work, writing)
    os.close(writing)
    with os.fdopen(reason, "rb") as pipe:
        why = pipe.read().decode(errors="replace")
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    outcome = code if code in (ANSWERED, REFUSED) else FAILED
    if outcome == FAILED:
        why = f"took more than {SECONDS} s" if code == -signal.SIGALRM else f"ended with {code} {why}"
    outcomes.add(outcome, what, seconds=usage.ru_utime + usage.ru_stime, num_bytes=usage.ru_maxrss * 1024, why=why)


def _run_bounded(work: Callable[[], object], writing: int) -> None:
    """Run ``work`` in a child process, which ends here with what came of it."""
    code = FAILED
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # the processor's time counts; the clock only for what waits without computing
        signal.signal(signal.SIGPROF, lambda *_: os.kill(os.getpid(), signal.SIGALRM))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60 * SECONDS)
        work()
        code = ANSWERED
    except BaseException as error:
        code, why = judge(error)
        os.write(writing, why.encode(errors="replace"))
    finally:
        sys.stdout.flush()
        os._exit(code)
