"""A checkpoint: everything that a run needs to go on as if it had never stopped, in one safetensors file.

Tensors are written from the processor's memory, whatever device they lie on, and go to that of the run that reads
them, so that a run can change its device.

It is written to a temporary name, synced and renamed, so there is always a whole one. The one before stays beside it: a
checkpoint that a failing disk tore, which its checksum tells, costs the training since then and no more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from regard.errors import ModelError
from regard.files import replacing

CHECKPOINT, FORMER = "checkpoint.safetensors", "checkpoint-before.safetensors"
"""The last checkpoint of a run and the one before, in its folder."""
CHECKSUM = "sha256"


@dataclass
class Position:
    """Where a run stands.

    Attributes:
        phase, epoch, batch: what comes next; ``epoch`` counts within the phase.
        step: optimizer steps in this phase.
        averaged: updates of the running average in this phase.
        best: the best validation score of the run, and ``best_epoch`` when it was reached, counted over all phases.
        stale: epochs since this phase last improved.
        phase_best: the best validation score of this phase.
        baseline: the moving baseline of hard attention.
        scaling: the state of the scaling of losses in float16.
        epochs: epochs finished over all phases.
        seconds: time spent so far.
        sums: running sums of the epoch under way.
    """

    phase: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    averaged: int = 0
    best: float | None = None
    best_epoch: int = 0
    stale: int = 0
    phase_best: float | None = None
    baseline: float | None = None
    scaling: dict[str, float] = field(default_factory=dict)
    epochs: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)


def has_checkpoint(folder: Path) -> bool:
    """Whether a run has left a checkpoint in its folder, whole or not."""
    return any((folder / name).exists() for name in (CHECKPOINT, FORMER))


def save_checkpoint(path: Path, tensors: dict[str, Tensor], position: Position, *, recipe: dict[str, Any]) -> None:
    """Write a checkpoint; the last one becomes the one before.

    Raises:
        ModelError: the disk is full or the folder cannot be written; the previous checkpoint is still there.
    """
    metadata = {"position": json.dumps(asdict(position)), "recipe": json.dumps(recipe)}
    metadata[CHECKSUM] = _checksum(tensors, metadata)
    with _writing(path), replacing(path, alone=True) as temporary:
        save_file(_on_cpu(tensors), temporary, metadata=metadata)
        if path.exists():
            path.replace(path.with_name(FORMER))


def _checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """The SHA-256 of tensors with their names and kinds, and of what else a checkpoint says."""
    digest = hashlib.sha256(repr(sorted((name, text) for name, text in metadata.items() if name != CHECKSUM)).encode())
    for name, tensor in sorted(_on_cpu(tensors).items()):
        digest.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file that is whole or absent.

    Raises:
        ModelError: it cannot be written; what stood at ``path`` is still there.
    """
    with _writing(path), replacing(path, alone=True) as temporary:
        save_file(_on_cpu(tensors), temporary, metadata=metadata)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path}: cannot be written ({error})", remedy="make room, the same command continues"
        ) from None


Loaded = tuple[dict[str, Tensor], Position, dict[str, Any]]
"""Tensors, position and recipe of a checkpoint."""


def load_last_checkpoint(folder: Path, *, log: Callable[[str], None]) -> Loaded | None:
    """The last checkpoint of a run that is whole; None where it has none.

    Args:
        folder: of the run.
        log: is told where the last one is damaged and the one before it serves.

    Raises:
        ModelError: all that are there are damaged or of another version.
    """
    problems: list[ModelError] = []
    for name in (CHECKPOINT, FORMER):
        if (folder / name).exists():
            try:
                loaded = load_checkpoint(folder / name)
            except ModelError as error:
                problems.append(error)
                continue
            if problems:
                log(f"{problems[0]}; training goes on from the checkpoint before it")
            return loaded
    if problems:
        raise problems[0]
    return None


def load_checkpoint(path: Path) -> Loaded:
    """Read one checkpoint.

    Raises:
        ModelError: the file is damaged or of another version.
    """
    if path.exists() and not path.is_file():
        raise ModelError(f"{path}: is no regular file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get(CHECKSUM, "") not in ("", _checksum(tensors, metadata)):
            raise ModelError(f"{path}: is damaged (its checksum differs)", remedy="start in a new folder")
        return tensors, Position(**json.loads(metadata["position"])), json.loads(metadata["recipe"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: is no checkpoint of this version ({error})", remedy="start in a new folder"
        ) from None


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: dict[int, str]) -> dict[str, Tensor]:
    """The optimizer's moments as ``optimizer.KIND.PARAMETER``; ``names`` are those of parameters by identity."""
    return {
        f"optimizer.{kind}.{names[id(parameter)]}": value
        for parameter, state in optimizer.state.items()
        for kind, value in state.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, names: dict[int, str], tensors: dict[str, Tensor]) -> None:
    """Put back what :func:`optimizer_tensors` gave."""
    by_name = {names[id(p)]: p for group in optimizer.param_groups for p in group["params"]}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, kind, parameter = name.split(".", 2)
            # the number of steps lies where the parameter lies, since the optimizer is a fused one
            optimizer.state[by_name[parameter]][kind] = value.to(by_name[parameter].device)
