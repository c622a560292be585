"""Measuring: interleaved repetitions, medians, counted operations, memory, and what the machine can do at most."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from regard.ops.cpu.compiled import NotCompiled, compile_ops, compiled_ops

Clock = Literal["wall", "cpu"]
CLOCKS: dict[Clock, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""``cpu`` is for one thread on a machine that others use at the same time."""

PRODUCT_SIZES = {"cpu": 1024, "cuda": 4096}
"""Rows and columns of the matrices that show a device at its best."""

Work = Callable[[], object]


def interleaved(works: Mapping[str, Work], *, repetitions: int, clock: Clock = "wall") -> dict[str, float]:
    """The median seconds of each work; all works take turns, so that what disturbs one disturbs all."""
    now = CLOCKS[clock]
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for repetition in range(repetitions + 1):
        for name, work in works.items():
            began = now()
            work()
            _await_device()
            if repetition:  # the first round warms up
                seconds[name].append(now() - began)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


@contextmanager
def fused_paths(*, on: bool) -> Iterator[None]:
    """Switch the fused paths of the package on or off for a while."""
    name = "REGARD_REFERENCE"
    before = os.environ.get(name)
    os.environ[name] = "0" if on else "1"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


@contextmanager
def compiled_paths() -> Iterator[None]:
    """The fused paths with compiled loops.

    Raises:
        NotCompiled: there is no compiler here.
    """
    with fused_paths(on=True), compiled_ops():
        yield


def why_not_compiled() -> str:
    """Why there are no compiled loops here; empty where there are."""
    try:
        compile_ops()
    except NotCompiled as error:
        return str(error)
    return ""


def _await_device() -> None:
    """Work given to a GPU goes on after the call that gave it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def count_operations(work: Work) -> int:
    """Multiplications and additions in the matrix products and convolutions of a work."""
    with FlopCounterMode(display=False, custom_mapping=_formulas()) as counter:
        work()
    total: int = counter.get_total_flops()
    return total


def _formulas() -> dict[Any, Callable[..., int]]:
    """The operations of products that PyTorch's own counter does not know, where this PyTorch has them."""

    def linear(rows: Sequence[int], *_: object, out_shape: Sequence[int], **__: object) -> int:
        return 2 * math.prod(rows) * out_shape[-1]

    def convolution(_: object, *shapes: Sequence[int] | None, out_shape: Sequence[int], **__: object) -> int:
        # behind the weight comes a bias; something to be added to the result comes before it
        weight = next(shape for shape in (shapes[1], shapes[0]) if shape is not None and len(shape) > 1)
        return 2 * math.prod(out_shape) * math.prod(weight) // out_shape[1]

    known: dict[tuple[Any, str], Callable[..., int]] = {
        (torch.ops.mkldnn, "_linear_pointwise"): linear,
        (torch.ops.mkldnn, "_convolution_pointwise"): convolution,
        (torch.ops.aten, "_int_mm"): linear,
    }
    return {getattr(home, name): formula for (home, name), formula in known.items() if hasattr(home, name)}


def matrix_product(dtype: torch.dtype, *, device: str = "cpu") -> tuple[Work, int]:
    """Products of two square matrices, for the rate that the machine reaches at most, and their operations."""
    size = PRODUCT_SIZES[device]
    left, right = torch.randn(2, size, size).to(device, dtype)
    times = 8

    def products() -> None:
        for _ in range(times):
            torch.mm(left, right)

    return products, times * 2 * size**3


def kept_bytes(forward: Callable[[], Tensor], model: nn.Module) -> int:
    """What a forward pass keeps for the backward pass, without the parameters."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    sizes: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # a result that an operation keeps would hold the operation, and nothing were let go

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        loss = forward()
    assert loss.requires_grad, "the graph is alive while its tensors are counted"
    return sum(sizes.values())


def peak_bytes(work: Work) -> int | None:
    """How much more memory of the machine a work takes at its peak than before it, where Linux tells.

    Run the work once before, so that what is made once does not count.
    """
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
