"""Requests that wait for a model process: bounded, first come first served, those that are alike together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from regard.serve.events import event
from regard.serve.problems import Problem

RETRY_SECONDS = 1
COMPUTED_TOGETHER = frozenset({"caption", "translate"})
"""Tasks that are batched; any other is computed alone, so that no request waits for several of them."""


@dataclass(frozen=True)
class Response:
    """What a model process answers to one request.

    Attributes:
        body: the content, or its beginning.
        media_type: of the content.
        rest: further parts of the content as they come, None behind the last; None where the body is all.
    """

    body: bytes
    media_type: str
    rest: asyncio.Queue[bytes | None] | None = None


@dataclass(frozen=True, eq=False)
class Job:
    """One request that waits or is computed.

    Attributes:
        task: what is to be done, by its name in :mod:`regard.serve.tasks`.
        options: how, as JSON; jobs with equal task and options are computed together.
        name: of the image.
        body: of the request.
        accepted: when it was put into the queue, in seconds of the loop's clock.
        answer: what comes of it.
    """

    task: str
    options: str
    name: str
    body: bytes
    accepted: float
    answer: asyncio.Future[Response] = field(repr=False)

    @property
    def kind(self) -> tuple[str, str]:
        """What jobs that are computed together have in common."""
        return self.task, self.options

    def reply(self, body: bytes, media_type: str, *, more: bool) -> None:
        """Answer, or continue an answer that was to have more, unless nobody waits any more."""
        if not self.answer.done():
            self.answer.set_result(Response(body, media_type, asyncio.Queue() if more else None))
        elif (rest := self._rest) is not None:
            rest.put_nowait(body)
            if not more:
                rest.put_nowait(None)

    def refuse(self, problem: Problem) -> None:
        """Answer with a problem, unless nobody waits any more; an answer that has begun ends with it as an event."""
        if not self.answer.done():
            self.answer.set_exception(problem)
        elif (rest := self._rest) is not None:
            rest.put_nowait(event("error", problem.to_dict()["error"]))
            rest.put_nowait(None)

    @property
    def _rest(self) -> asyncio.Queue[bytes | None] | None:
        """Where the parts of an answer go that has begun."""
        failed = self.answer.cancelled() or self.answer.exception() is not None
        return None if failed else self.answer.result().rest


class JobQueue:
    """Jobs in the order in which they came.

    Args:
        capacity: how many may wait.
        wait_seconds: how long one may wait.
        now: the clock.
    """

    def __init__(self, *, capacity: int, wait_seconds: float, now: Callable[[], float]) -> None:
        self.capacity = capacity
        self._wait_seconds = wait_seconds
        self._now = now
        self._waiting: deque[Job] = deque()
        self._arrived = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    async def put(self, **job: Any) -> Job:
        """Let a job wait.

        Args:
            job: the attributes of :class:`Job` that the caller knows.

        Raises:
            Problem: ``busy`` where the queue is full.
        """
        if len(self._waiting) >= self.capacity:
            self._drop_stale()
        if len(self._waiting) >= self.capacity:
            raise Problem("busy", allowed=f"{self.capacity} waiting requests", retry_after=RETRY_SECONDS)
        entry = Job(**job, accepted=self._now(), answer=asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        async with self._arrived:
            self._arrived.notify()
        return entry

    async def take(self, most: int) -> list[Job]:
        """The longest waiting job and others like it, ``most`` at most; waits until there is one."""
        async with self._arrived:
            while True:
                self._drop_stale()
                if self._waiting:
                    return self._alike(most)
                await self._arrived.wait()

    def _alike(self, most: int) -> list[Job]:
        first, taken, others = self._waiting[0], list[Job](), deque[Job]()
        most = most if first.task in COMPUTED_TOGETHER else 1
        for job in self._waiting:
            (taken if job.kind == first.kind and len(taken) < most else others).append(job)
        self._waiting = others
        return taken

    def _drop_stale(self) -> None:
        """Let go of jobs whose client has gone, and refuse those that have waited too long."""
        oldest = self._now() - self._wait_seconds
        for job in self._waiting:
            if job.accepted < oldest:
                job.refuse(Problem("timed_out", retry_after=RETRY_SECONDS))
        self._waiting = deque(job for job in self._waiting if not job.answer.done())
