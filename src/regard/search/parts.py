"""A batch in parts, each searched in a thread of its own.

A step of a search is a row of short operations. With all of the processor at work on each of them, it waits for its own
threads again and again; a thread that has a part of the inputs to itself waits for nobody. What one input is said to
show does not depend on the others, so how a batch is cut changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Semaphore
from typing import TypeVar

import torch

from regard.kernels import use_reference

LEAST = 32
"""Inputs in a part: with fewer, matrices are read for too few rows, and threads wait for Python."""
MOST = 4
"""Parts of a batch: Python runs one thread at a time, and more of them would wait for it."""

Result = TypeVar("Result")


def cut(batch: int, *, device: torch.device) -> list[range]:
    """The numbers of the inputs of each part of a batch; one part where threads do not pay."""
    # autocast is on for one thread only
    alone = device.type != "cpu" or torch.is_autocast_enabled("cpu") or use_reference()
    parts = 1 if alone else max(1, min(torch.get_num_threads(), batch // LEAST, MOST))
    return [range(batch * number // parts, batch * (number + 1) // parts) for number in range(parts)]


def side_by_side(work: Callable[[range], Result], parts: Sequence[range]) -> list[Result]:
    """Do ``work`` for all parts at the same time; together they use the threads that the caller may use."""
    if len(parts) == 1:
        return [work(parts[0])]
    threads, inference, begun = torch.get_num_threads(), torch.is_inference_mode_enabled(), Semaphore(0)

    def run(part: range) -> Result:
        torch.get_num_threads()  # a thread that has not asked yet would be told the process's number later on
        torch.set_num_threads(max(1, threads // len(parts)))
        begun.release()
        with torch.inference_mode(inference):
            return work(part)

    with ThreadPoolExecutor(len(parts), thread_name_prefix="regard-search") as pool:
        running = [pool.submit(copy_context().run, run, part) for part in parts]
        for _ in parts:
            begun.acquire()
        torch.set_num_threads(threads)  # each of them has set the process's number, too
        return [each.result() for each in running]
