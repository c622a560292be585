"""One model process a core. Each takes batches from the queue; one that ends is started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from regard.errors import ModelError
from regard.serve.frames import pack_frame, receive_frame
from regard.serve.metrics import Metrics
from regard.serve.problems import Problem
from regard.serve.queue import RETRY_SECONDS, Job, JobQueue
from regard.serve.settings import ServeSettings

PROGRAM = "from regard.serve.model_process import main; main()"
"""What a model process runs; its modules are not imported here, because they need torch."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 10.0
"""Seconds before a process that ended is started again; twice as long each time that it ends while loading."""


class Pool:
    """The model processes of a service.

    Args:
        settings: of the service.
        queue: where requests wait.
        metrics: what is counted.

    Attributes:
        models: what is loaded, as ``GET /v1/models`` lists it.
    """

    def __init__(self, settings: ServeSettings, queue: JobQueue, metrics: Metrics) -> None:
        self.models: list[dict[str, Any]] = []
        self._settings = settings
        self._queue = queue
        self._metrics = metrics
        self._running: list[asyncio.Task[None]] = []
        self._ready: set[ModelProcess] = set()

    @property
    def num_ready(self) -> int:
        """How many processes can compute."""
        return len(self._ready)

    async def start(self) -> None:
        """Start all processes, and wait for the first to be ready.

        Raises:
            ModelError: the models cannot be loaded.
        """
        first = ModelProcess(self._settings)
        try:
            self.models = await first.start()
        except ModelError:
            await first.end()
            raise
        others = [ModelProcess(self._settings) for _ in range(1, self._settings.processes)]
        self._running = [asyncio.create_task(self._keep(each)) for each in (first, *others)]

    async def stop(self) -> None:
        """End all processes, whatever they are doing."""
        for each in self._running:
            each.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _keep(self, process: ModelProcess) -> None:
        """Let a process work, and start it again when it ends."""
        pause = _FIRST_PAUSE
        try:
            while True:
                try:
                    if not process.alive:
                        await process.start()
                    pause = _FIRST_PAUSE
                    self._ready.add(process)
                    await self._work(process)
                except ModelError:
                    pause = min(2 * pause, _LONGEST_PAUSE)
                self._ready.discard(process)
                self._metrics.restarts += 1
                await process.end()
                await asyncio.sleep(pause)
        finally:
            self._ready.discard(process)
            await process.end()

    async def _work(self, process: ModelProcess) -> None:
        """Compute batch after batch until the process ends."""
        while process.alive:
            jobs = await self._next_jobs(process)
            if not jobs:
                return
            self._metrics.batch_sizes.observe(len(jobs))
            limit = self._settings.limits.compute_seconds
            try:
                async with asyncio.timeout(limit):
                    await process.compute(jobs)
            except TimeoutError:
                _refuse_all(jobs, Problem("timed_out", allowed=f"{limit:g} seconds", retry_after=RETRY_SECONDS))
                return
            except (OSError, asyncio.IncompleteReadError):
                _refuse_all(jobs, Problem("process_ended", retry_after=RETRY_SECONDS))
                return

    async def _next_jobs(self, process: ModelProcess) -> list[Job]:
        """The next batch; empty where the process ends before there is one."""
        taking = asyncio.create_task(self._queue.take(self._settings.batch))
        ending = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({taking, ending}, return_when=asyncio.FIRST_COMPLETED)
            return taking.result() if taking.done() else []
        finally:
            for each in (taking, ending):
                each.cancel()


class ModelProcess:
    """One process, seen from the service."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> list[dict[str, Any]]:
        """Start it, wait until its models are loaded, and give their descriptions.

        Raises:
            ModelError: they cannot be loaded.
        """
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-c",
            PROGRAM,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
            process_group=0,  # Ctrl-C is for the service, which ends its processes itself
        )
        settings = self._settings
        loading = {
            "models": settings.models,
            "precision": settings.precision,
            "image_pixels": settings.limits.image_pixels,
        }
        try:
            await self._send(pack_frame(loading))
            header, _ = await receive_frame(self._stdout)
        except (OSError, asyncio.IncompleteReadError):
            raise ModelError("a model process ended while it loaded its models") from None
        if header["failed"]:
            raise ModelError(header["message"])
        models: list[dict[str, Any]] = header["models"]
        return models

    async def compute(self, jobs: Sequence[Job]) -> None:
        """Compute a batch of jobs that are alike, and answer each as soon as it is ready.

        Raises:
            OSError, asyncio.IncompleteReadError: the process ended.
        """
        header = {
            "task": jobs[0].task,
            "options": json.loads(jobs[0].options),
            "items": [{"name": job.name, "size": len(job.body)} for job in jobs],
        }
        await self._send(pack_frame(header, b"".join(job.body for job in jobs)))
        num_answered = 0
        while num_answered < len(jobs):
            reply, body = await receive_frame(self._stdout)
            job = jobs[reply["item"]]
            if reply["failed"]:
                job.refuse(Problem.from_dict(json.loads(body)))
            else:
                job.reply(body, reply["media_type"], more=reply["more"])
            num_answered += not reply["more"]

    async def wait(self) -> None:
        """Wait until the process ends."""
        assert self._process is not None, "a process that was started"
        await self._process.wait()

    async def end(self) -> None:
        """End it at once: it holds nothing that would be lost."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None

    @property
    def _stdout(self) -> asyncio.StreamReader:
        assert self._process is not None, "a process that was started"
        assert self._process.stdout is not None, "a pipe"
        return self._process.stdout

    async def _send(self, frame: bytes) -> None:
        assert self._process is not None, "a process that was started"
        assert self._process.stdin is not None, "a pipe"
        self._process.stdin.write(frame)
        await self._process.stdin.drain()


def _refuse_all(jobs: Sequence[Job], problem: Problem) -> None:
    for job in jobs:
        job.refuse(problem)
