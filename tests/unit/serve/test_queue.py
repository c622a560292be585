"""Who waits, who leaves together, and who is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from regard.serve.problems import Problem
from regard.serve.queue import Job, JobQueue


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def put(queue: JobQueue, task: str, options: str = "{}", name: str = "") -> Job:
    return await queue.put(task=task, options=options, name=name, body=b"")


def test_jobs_that_are_alike_leave_together_and_the_first_leaves_first() -> None:
    async def work() -> None:
        queue = JobQueue(capacity=9, wait_seconds=1, now=Clock())
        for options, name in (("a", "1"), ("b", "2"), ("a", "3"), ("a", "4"), ("b", "5")):
            await put(queue, "caption", options, name)
        assert [job.name for job in await queue.take(2)] == ["1", "3"]
        assert [job.name for job in await queue.take(9)] == ["2", "5"]
        assert [job.name for job in await queue.take(9)] == ["4"]

    run(work())


def test_long_tasks_are_computed_one_by_one() -> None:
    async def work() -> None:
        queue = JobQueue(capacity=9, wait_seconds=1, now=Clock())
        for name in "12":
            await put(queue, "explain_caption", name=name)
        assert [job.name for job in await queue.take(9)] == ["1"]

    run(work())


def test_a_full_queue_refuses_and_has_room_where_clients_have_gone() -> None:
    async def work() -> None:
        queue = JobQueue(capacity=2, wait_seconds=1, now=Clock())
        first = await put(queue, "caption")
        await put(queue, "caption")
        with pytest.raises(Problem) as refused:
            await put(queue, "caption")
        assert (refused.value.code, refused.value.retry_after) == ("busy", 1)
        first.answer.cancel()
        await put(queue, "caption")
        assert len(queue) == 2

    run(work())


def test_who_waits_too_long_is_told() -> None:
    async def work() -> None:
        clock = Clock()
        queue = JobQueue(capacity=2, wait_seconds=5, now=clock)
        late = await put(queue, "caption")
        clock.now = 6
        taken = asyncio.create_task(queue.take(9))
        await asyncio.sleep(0)
        await put(queue, "caption", name="next")
        assert [job.name for job in await taken] == ["next"]
        with pytest.raises(Problem) as refused:
            late.answer.result()
        assert refused.value.code == "timed_out"

    run(work())


def test_an_answer_goes_on_until_its_last_part_or_ends_with_the_problem() -> None:
    async def work() -> None:
        queue = JobQueue(capacity=3, wait_seconds=1, now=Clock())
        streamed, broken = await put(queue, "stream_caption"), await put(queue, "stream_caption")
        for body, more in ((b"a", True), (b"b", True), (b"c", False)):
            streamed.reply(body, "text/event-stream", more=more)
        rest = streamed.answer.result().rest
        assert rest is not None
        assert [rest.get_nowait() for _ in range(rest.qsize())] == [b"b", b"c", None]
        broken.reply(b"a", "text/event-stream", more=True)
        broken.refuse(Problem("process_ended"))
        rest = broken.answer.result().rest
        assert rest is not None
        assert b'"code": "process_ended"' in (rest.get_nowait() or b"")
        assert rest.get_nowait() is None
        streamed.refuse(Problem("internal"))

    run(work())
