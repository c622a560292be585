"""A checkpoint: everything that a run needs to go on as if it had never stopped, in one safetensors file.

Tensors are written from the processor's memory, whatever device they lie on, and go to that of the run that reads
them, so that a run can change its device.

It is written to a temporary name, synced and renamed, so there is always a whole one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from regard.errors import ModelError
from regard.files import replacing


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
    epochs: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)


def save_checkpoint(path: Path, tensors: dict[str, Tensor], position: Position, *, recipe: dict[str, Any]) -> None:
    """Write a checkpoint.

    Raises:
        ModelError: the disk is full or the folder cannot be written; the previous checkpoint is still there.
    """
    metadata = {"position": json.dumps(asdict(position)), "recipe": json.dumps(recipe)}
    write_tensors(path, tensors, metadata)


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file that is whole or absent.

    Raises:
        ModelError: it cannot be written; what stood at ``path`` is still there.
    """
    try:
        with replacing(path, alone=True) as temporary:
            on_cpu = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
            save_file(on_cpu, temporary, metadata=metadata)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path}: cannot be written ({error})", remedy="make room, the same command continues"
        ) from None


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], Position, dict[str, Any]]:
    """Tensors, position and recipe of a checkpoint.

    Raises:
        ModelError: the file is damaged or of another version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
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
