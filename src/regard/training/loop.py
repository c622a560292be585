"""The loop: phases, epochs, steps; judged by real search, checkpointed so that a kill at any moment costs minutes.

Every random number of a step comes from a seed that is a function of (seed, phase, epoch, batch), so a run that was
stopped and continued takes the same steps as one that was not. Several processes take the same steps, too (see
:mod:`regard.training.distributed`); all of them know where the run stands, and the first one writes it down.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from regard.config import parse
from regard.encoders.image import ImageEncoder
from regard.errors import ConfigError, DivergedError, ModelError
from regard.model import EncoderDecoder
from regard.ops.cpu.compiled import NotCompiled, compile_ops, compiled_ops
from regard.progress import Progress
from regard.saved.tensors import load_tensors, named_tensors
from regard.training.checkpoint import (
    CHECKPOINT,
    Position,
    load_last_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from regard.training.device import gpu_settings
from regard.training.distributed import from_first, is_first
from regard.training.log import RunLog
from regard.training.memory import naming_what_to_lower
from regard.training.micro_batches import own_micro_batches
from regard.training.objectives import build_objective
from regard.training.optimizer import WARMUP_SHARE, build_optimizer, encoder_rate, set_rates, warmup_steps
from regard.training.parameters import RunningAverage, Swapped, dropout_of
from regard.training.recipe import Phase, Recipe, goes_on
from regard.training.step import TrainingStep
from regard.training.task import Task

CHECKPOINT_SECONDS = 120.0
FEW_STEPS = 100
"""A model that begins from nothing learns little in fewer steps than this."""


@dataclass(frozen=True)
class Outcome:
    """What a finished run reached."""

    folder: Path
    metric: str
    best: float
    best_epoch: int
    seconds: float


class Trainer:
    """One run of one recipe in one folder.

    Args:
        recipe: what to do.
        task: the data.
        model: what is trained, in place.
        folder: where checkpoint and log go.
        keep_best: called with the model, its scores and the number of epochs whenever validation reaches a new best;
            the weights that were judged are in the model during the call.
        judged: called with the model and the number of epochs after every validation, with the same weights.
        progress: receives progress.
    """

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        model: EncoderDecoder,
        folder: Path,
        *,
        keep_best: Callable[[EncoderDecoder, dict[str, Any], int], None],
        judged: Callable[[EncoderDecoder, int], None],
        progress: Progress,
    ) -> None:
        self.recipe, self.task, self.model, self.folder = recipe, task, model, folder
        self._keep_best, self._judged, self._progress = keep_best, judged, progress
        self._position = Position()
        self._log = RunLog(folder, metric=recipe.judged_by)
        self._names = {id(parameter): name for name, parameter in model.named_parameters()}
        self._encoder_parameters = [each for each in model.encoder.parameters() if each.requires_grad]
        self._saved_at = time.monotonic()
        if any(phase.retain_classes for phase in recipe.phases):
            assert isinstance(model.encoder, ImageEncoder), "the recipe was checked"
            model.encoder.teach()

    def run(self) -> Outcome:
        """Train until the recipe is done; continue where a checkpoint stands.

        A kill or Ctrl-C at any moment leaves a whole checkpoint, at most :data:`CHECKPOINT_SECONDS` of training old.

        Raises:
            ModelError: the checkpoint belongs to another recipe, or cannot be written.
            DivergedError: the loss or the weights are no numbers any more; the last checkpoint is from before.
        """
        restored = self._restore()
        self.task.prepare(self.model, self._progress)
        try:
            with self._compiled():
                if self.recipe.begin_from is not None and self._position == Position():
                    self._judge_beginning()
                while self._position.phase < len(self.recipe.phases):
                    self._run_phase(self.recipe.phases[self._position.phase], restored)
                    restored = {}
        finally:
            self._log.close()
        position = self._position
        assert position.best is not None, "every phase ends with a validation"
        return Outcome(self.folder, self.recipe.judged_by, position.best, position.best_epoch, position.seconds)

    def _judge_beginning(self) -> None:
        """What a trained model reaches before it learns is what the run has to surpass."""
        with gpu_settings(self.model.device, self.recipe.phases[0].precision):
            self.model.eval()
            scores = self.task.validate(self.model, self.recipe.search, self._progress)
        self._position.best = float(scores[self.recipe.judged_by])
        self._keep_best(self.model, scores, 0)
        self._judged(self.model, 0)
        self._log.write("beginning", 0, scores)
        surpass = f"; what learns from it must reach {self.recipe.surpass:g} more" if self.recipe.surpass else ""
        begins = f"{self.recipe.begin_from} begins with {self.recipe.judged_by} {self._position.best:.2f}"
        self._progress.log(begins + surpass)

    def _compiled(self) -> AbstractContextManager[None]:
        """Compiled CPU operations where they are asked for and a compiler is found."""
        if not self.recipe.compile:
            return nullcontext()
        try:
            compile_ops()
        except NotCompiled as error:
            self._progress.log(f"training goes on without compiled operations: {error}")
            return nullcontext()
        return compiled_ops()

    def _run_phase(self, phase: Phase, restored: dict[str, Tensor]) -> None:
        for parameter in self._encoder_parameters:
            parameter.requires_grad_(encoder_rate(self.model, phase.optim) > 0)
        optimizer = build_optimizer(self.model, phase.optim)
        average = RunningAverage(self.model, phase.average) if phase.average else None
        if restored:
            restore_optimizer(optimizer, self._names, restored)
            if average is not None:
                average.updates = self._position.averaged
                average.tensors = {n: t.to(self.model.device) for n, t in _part(restored, "average.").items()}
        objective = build_objective(phase, self.task, self.model, seed=self.recipe.seed, position=self._position)
        steps = TrainingStep(objective, optimizer)
        if restored:
            steps.scaler.load_state_dict(self._position.scaling)
        memory = naming_what_to_lower(self._position.phase, phase)
        with memory, gpu_settings(self.model.device, phase.precision), dropout_of(self.model, phase.dropout):
            while self._position.epoch < phase.epochs and not self._stale(phase):
                self._run_epoch(phase, steps, average)
                if self._to_judge(phase):
                    self._judge(phase, average)
                    self._save(steps, average)
                else:
                    self._next_epoch()
        self._end_phase(average)

    def _run_epoch(self, phase: Phase, steps: TrainingStep, average: RunningAverage | None) -> None:
        position = self._position
        batches = self.task.batches(phase, number=position.phase, epoch=position.epoch)[: phase.steps]
        total_steps = phase.epochs * len(batches)
        if not position.step:
            self._remark_on_steps(phase, total_steps)
        self._progress.start(f"epoch {position.epochs + 1}", len(batches), done=position.batch)
        self.model.train()
        while position.batch < len(batches):
            began = time.monotonic()
            entropy = (self.recipe.seed, position.phase, position.epoch, position.batch)
            targets, batch = self.task.captions, batches[position.batch]
            parts = own_micro_batches(batch, targets, accumulate=phase.accumulate, entropy=entropy)
            numbers = steps.backward(parts, epoch=position.epoch)
            if not math.isfinite(sum(numbers.values())):
                raise self._diverged("the loss is not a number", batch=position.batch + 1)
            set_rates(steps.optimizer, phase.optim, step=position.step, total=total_steps)
            steps.descend()
            if average is not None:
                average.update(self.model)
                position.averaged = average.updates
            self._count(numbers, time.monotonic() - began)
            position.step, position.batch = position.step + 1, position.batch + 1
            self._progress.advance(1, _note(position.sums))
            if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
                self._save(steps, average)

    def _remark_on_steps(self, phase: Phase, total: int) -> None:
        """Say what a phase of few steps does not do."""
        warmup = warmup_steps(phase.optim, total)
        if warmup < phase.optim.warmup:
            self._progress.log(
                f"warm-up takes {warmup} steps, not {phase.optim.warmup}: at most {WARMUP_SHARE:.0%} of the {total} of "
                "the phase"
            )
        if total < FEW_STEPS and self.recipe.begin_from is None:
            self._progress.log(
                f"only {total} steps, which teach a new model little: raise phases.{self._position.phase}.epochs "
                f"({phase.epochs}), lower .batch, or begin from a trained model with --from"
            )

    def _diverged(self, reason: str, *, batch: int) -> DivergedError:
        position = self._position
        key = f"phases.{position.phase}.optim.lr"
        rate = self.recipe.phases[position.phase].optim.lr
        return DivergedError(
            f"{self.folder}: {reason} at batch {batch} of epoch {position.epochs + 1}",
            remedy=f"lower {key} ({rate:g}), such as --set {key}={rate / 10:g}, in another --output; what was learned "
            "before is kept",
        )

    def _require_numbers(self, tensors: Mapping[str, Tensor]) -> None:
        """Refuse weights that no file of the model could hold."""
        largest = torch.finfo(torch.float16).max
        if not all(bool((tensor.detach().abs() < largest).all()) for tensor in tensors.values()):
            raise self._diverged("the weights have grown beyond all bounds", batch=self._position.batch)

    def _count(self, numbers: dict[str, float], seconds: float) -> None:
        sums = self._position.sums
        for name, value in {**numbers, "steps": 1.0, "seconds": seconds}.items():
            sums[name] = sums.get(name, 0.0) + value
        self._position.seconds += seconds

    def _to_judge(self, phase: Phase) -> bool:
        """Whether the epoch that has just been run is to be judged."""
        done = self._position.epoch + 1
        return done % phase.validate_every == 0 or done == phase.epochs

    def _next_epoch(self) -> None:
        position = self._position
        position.epoch, position.epochs, position.batch = position.epoch + 1, position.epochs + 1, 0

    def _judge(self, phase: Phase, average: RunningAverage | None) -> None:
        """Validate, log, and keep the weights when they are the best so far."""
        position = self._position
        began = time.monotonic()
        weights = named_tensors(self.model) if average is None else average.tensors
        self._require_numbers(weights)
        self._next_epoch()
        with Swapped(self.model, weights):
            self.model.eval()
            scores = self.task.validate(self.model, self.recipe.search, self._progress)
            score = float(scores[self.recipe.judged_by])
            position.stale = 0 if position.phase_best is None or score > position.phase_best else position.stale + 1
            position.phase_best = max(score, position.phase_best or -math.inf)
            if position.best is None or score > position.best + self._margin():
                position.best, position.best_epoch = score, position.epochs
                self._keep_best(self.model, scores, position.epochs)
            self._judged(self.model, position.epochs)
        position.seconds += time.monotonic() - began
        numbers = _means(position.sums)
        position.sums = {}
        self._log.write(
            "epoch", position.epochs, {"phase": position.phase, "objective": phase.objective, **numbers, **scores}
        )
        self._progress.log(_summary(position, phase, numbers, scores, self.recipe.judged_by))

    def _margin(self) -> float:
        """How much better than the best a model must be: while that is the one to begin from, more than by chance."""
        return self.recipe.surpass if self._position.best_epoch == 0 else 0.0

    def _end_phase(self, average: RunningAverage | None) -> None:
        """The next phase begins from the weights that were judged."""
        if average is not None:
            load_tensors(self.model, average.tensors, origin="the average")
        position = self._position
        position.phase, position.epoch, position.step, position.averaged = position.phase + 1, 0, 0, 0
        position.stale, position.phase_best = 0, None

    def _stale(self, phase: Phase) -> bool:
        return phase.patience is not None and self._position.stale >= phase.patience

    def _save(self, steps: TrainingStep, average: RunningAverage | None) -> None:
        self._require_numbers(named_tensors(self.model))
        self._saved_at = time.monotonic()
        if not is_first():
            return
        self._position.scaling = steps.scaler.state_dict()
        tensors = {f"model.{name}": tensor for name, tensor in named_tensors(self.model).items()}
        tensors |= {f"average.{name}": tensor for name, tensor in ({} if average is None else average.tensors).items()}
        tensors |= optimizer_tensors(steps.optimizer, self._names)
        recipe = self.recipe.model_dump(mode="json")
        save_checkpoint(self.folder / CHECKPOINT, tensors, self._position, recipe=recipe)

    def _restore(self) -> dict[str, Tensor]:
        loaded = from_first(lambda: load_last_checkpoint(self.folder, log=self._progress.log))
        if loaded is None:
            return {}
        tensors, self._position, recipe = loaded
        stored = _stored(recipe)
        if stored is None or not goes_on(stored, self.recipe):
            raise ModelError(
                f"{self.folder}: holds a run of another recipe",
                remedy="continue it with its own recipe and settings, or give another folder with --output",
            )
        if stored != self.recipe:
            self._position.stale = 0  # whoever asks for more epochs does not want to stop at once
        load_tensors(self.model, _part(tensors, "model."), origin=f"the checkpoint of {self.folder}")
        self._progress.log(f"continuing {self.folder} after {self._position.epochs} epochs")
        return tensors


def _stored(values: dict[str, Any]) -> Recipe | None:
    """A stored recipe, from which what has since got a usual value may be missing; None where it is none today."""
    try:
        return parse(Recipe, values, origin="the checkpoint")
    except ConfigError:
        return None


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _means(sums: dict[str, float]) -> dict[str, float]:
    steps = sums.get("steps", 0.0)
    means = {name: value / steps for name, value in sums.items() if name not in ("steps", "seconds", "tokens")}
    return {**means, "tokens_per_second": sums.get("tokens", 0.0) / max(sums.get("seconds", 0.0), 1e-9)}


def _note(sums: dict[str, float]) -> str:
    means = _means(sums)
    speed = means.pop("tokens_per_second")
    return "  ".join([*(f"{name} {value:.3f}" for name, value in means.items()), f"{speed:,.0f} tokens/s"])


def _summary(position: Position, phase: Phase, numbers: dict[str, float], scores: dict[str, Any], metric: str) -> str:
    best = "  best so far" if position.best_epoch == position.epochs else ""
    judged = "  ".join(f"{name} {value:.2f}" for name, value in scores.items() if isinstance(value, float))
    speed = numbers["tokens_per_second"]
    return f"epoch {position.epochs} ({phase.objective}, {speed:,.0f} tokens/s)  {judged}  [{metric}]{best}"
