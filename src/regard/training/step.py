"""One step of training: gradients of its micro-batches, summed over processes, clipped and applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from regard.training.distributed import accumulating, replicate, sum_over_processes, world_size
from regard.training.micro_batches import MicroBatch
from regard.training.objectives import Objective


class _Loss(nn.Module):
    """An objective as a module that holds the model's parameters, which is what can be replicated."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.model, self._objective = objective.model, objective

    def forward(self, micro: MicroBatch, epoch: int) -> tuple[Tensor, dict[str, float]]:
        """See :meth:`Objective.loss`."""
        return self._objective.loss(micro, epoch=epoch)


class TrainingStep:
    """Takes the steps of one phase.

    In float16 the loss is scaled so that its gradients do not vanish; a step whose gradients overflow is left out.

    Args:
        objective: what is made small.
        optimizer: takes the step.
    """

    def __init__(self, objective: Objective, optimizer: torch.optim.Optimizer) -> None:
        phase, device = objective.phase, objective.device
        self.optimizer, self._objective, self._clip = optimizer, objective, phase.optim.clip
        self._loss = replicate(_Loss(objective))
        self.scaler = torch.amp.GradScaler(device.type, enabled=phase.precision == "float16")

    def backward(self, micro_batches: Sequence[MicroBatch], *, epoch: int) -> dict[str, float]:
        """Leave the gradient of the step at the parameters; returns the numbers of the whole step."""
        self.optimizer.zero_grad(set_to_none=True)
        numbers: Counter[str] = Counter()
        prepared = self._objective.prepare(micro_batches, epoch=epoch)
        for micro in prepared:
            numbers.update(self._add_gradient(micro, epoch=epoch, last=micro is prepared[-1]))
        totals = sum_over_processes(numbers)
        self._objective.finish(totals)
        return totals

    def _add_gradient(self, micro: MicroBatch, *, epoch: int, last: bool) -> dict[str, float]:
        # nothing of a pass may be pending when the next is recorded, see regard.fast.training.cuda_graphs
        torch.manual_seed(micro.seed)
        with accumulating(self._loss, last=last):
            result: tuple[Tensor, dict[str, float]] = self._loss(micro, epoch)
            loss, numbers = result
            # gradients are averaged over processes, and losses are parts of a sum
            scaled: Tensor = self.scaler.scale(loss * world_size() * (micro.share > 0))
            scaled.backward()  # type: ignore[no-untyped-call]
        return numbers

    def descend(self) -> None:
        """Take the step."""
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(parameters, self._clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
