"""Training in several processes, as ``torchrun`` starts them on one machine or many.

Every process holds the whole model and the data, and takes its share of each batch; gradients are summed over
processes by ``DistributedDataParallel`` (gloo on processors, NCCL on GPUs). The first process alone writes. Outside of
:func:`process_group` there is one process, and all of this costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from regard.errors import WorkerError

BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
PATIENCE = timedelta(days=1)
"""How long a process waits for another, which may be computing features; ``torchrun`` ends all when one has died."""
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What ``torchrun`` tells each process."""

T = TypeVar("T")


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this is the process that writes."""
    return rank() == 0


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """Join the other processes, where ``torchrun`` has started several; gives the device of this one.

    What goes wrong is told by the process that meets it first; the others leave without a word.

    Args:
        device: as the user named it; ``cuda`` becomes the GPU of this process.

    Raises:
        WorkerError: another process has ended.
    """
    alone = not all(map(os.environ.get, VARIABLES)) or os.environ["WORLD_SIZE"] == "1"
    if alone or dist.is_initialized():
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    store, number, count = next(rendezvous("env://"))
    dist.init_process_group(BACKENDS[device.type], store=store, rank=number, world_size=count, timeout=PATIENCE)
    try:
        yield device
    except BaseException as error:
        if not _tells(store):
            raise SystemExit(1) from None
        if _lost_another(error):
            remedy = "see the messages above; the same command continues the run"
            raise WorkerError("another process of this training has ended", remedy=remedy) from None
        raise
    dist.destroy_process_group()


def _tells(store: Store) -> bool:
    """Whether this process is the first one to meet an error."""
    with suppress(RuntimeError):  # the process that held the store has ended
        return bool(store.add("regard/errors", 1) == 1)
    return is_first()


def _lost_another(error: BaseException) -> bool:
    """Whether an error says that another process cannot be reached; gloo has no type of its own for it."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def from_first(work: Callable[[], T]) -> T:
    """What the first process gets from ``work``, in every process; the others do not call it."""
    if world_size() == 1:
        return work()
    box: list[T | None] = [work() if is_first() else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[return-value]


def own_share(items: Sequence[T]) -> Sequence[T]:
    """What this process takes of work that all share: every n-th item."""
    return items[rank() :: world_size()]


def gather(results: Sequence[T]) -> list[T]:
    """The results of all items, in their order, from those of each process for its :func:`own_share`."""
    if world_size() == 1:
        return list(results)
    of_all: list[Sequence[T]] = [()] * world_size()
    dist.all_gather_object(of_all, list(results))
    turns = range(max(map(len, of_all)))
    return [each[turn] for turn in turns for each in of_all if turn < len(each)]


def sum_over_processes(numbers: Mapping[str, float]) -> dict[str, float]:
    """Named numbers, the same names in every process, each summed over processes."""
    if world_size() == 1:
        return dict(numbers)
    names = sorted(numbers)
    sums = torch.tensor([numbers[name] for name in names], dtype=torch.float64)
    dist.all_reduce(sums)
    return dict(zip(names, sums.tolist(), strict=True))


def replicate(module: nn.Module) -> nn.Module:
    """The module with its gradients averaged over processes; itself where there is one."""
    if world_size() == 1:
        return module
    return DistributedDataParallel(module, find_unused_parameters=True)


def accumulating(module: nn.Module, *, last: bool) -> AbstractContextManager[None]:
    """A pass of a replicated module, whose gradients travel with the last pass of a step alone."""
    if last or not isinstance(module, DistributedDataParallel):
        return nullcontext()
    context: AbstractContextManager[None] = module.no_sync()
    return context
