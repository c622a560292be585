"""Measuring: interleaved repetitions, medians, counted operations, memory, and what the machine can do at most."""

from __future__ import annotations

import ctypes
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

Clock = Literal["wall", "cpu"]
CLOCKS: dict[Clock, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""``cpu`` is for one thread on a machine that others use at the same time."""

Work = Callable[[], object]


def interleaved(works: Mapping[str, Work], *, repetitions: int, clock: Clock = "wall") -> dict[str, float]:
    """The median seconds of each work; all works take turns, so that what disturbs one disturbs all."""
    now = CLOCKS[clock]
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for repetition in range(repetitions + 1):
        for name, work in works.items():
            began = now()
            work()
            if repetition:  # the first round warms up
                seconds[name].append(now() - began)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def count_operations(work: Work) -> int:
    """Multiplications and additions in the matrix products of a work."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def matrix_product(dtype: torch.dtype, *, size: int = 1024) -> Work:
    """A product of two square matrices, for the rate that the machine reaches at most; 2 size³ operations."""
    left, right = torch.randn(2, size, size).to(dtype)
    return lambda: left @ right


def kept_bytes(forward: Callable[[], Tensor], model: nn.Module) -> int:
    """What a forward pass keeps for the backward pass, without the parameters."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    sizes: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        loss = forward()
    assert loss.requires_grad, "the graph is alive while its tensors are counted"
    return sum(sizes.values())


def peak_bytes(work: Work) -> int | None:
    """How much more memory of the machine a work takes at its peak than before it, where Linux tells."""
    work()
    if platform.system() != "Linux":
        return None
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _memory("VmRSS")
    work()
    return max(0, _memory("VmHWM") - before)


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


@dataclass(frozen=True)
class Machine:
    """What was measured on."""

    processor: str
    threads: int
    versions: str

    def __str__(self) -> str:
        return f"{self.processor}, {self.threads} threads, {self.versions}"


def this_machine() -> Machine:
    """The machine that this runs on."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), processor)
    return Machine(
        processor, torch.get_num_threads(), f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    )
