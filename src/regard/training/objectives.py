"""Training objectives: the loss of one step, from given captions (cross-entropy) or from sampled ones (rewards)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.data.batching import CaptionBatch
from regard.decoders.base import Decoder, Trace
from regard.encoders.image import ImageEncoder
from regard.fast import for_training
from regard.model import EncoderDecoder
from regard.search import SpecialTokens
from regard.search.rollouts import sample_captions
from regard.text.vocabulary import BOS
from regard.training.checkpoint import Position
from regard.training.device import decoder_autocast, encoder_autocast, to_device
from regard.training.losses import (
    MovingBaseline,
    attention_correctness,
    attention_entropy,
    cross_entropy,
    doubly_stochastic,
    hard_attention_loss,
    policy_gradient,
    r_drop_loss,
    real_tokens,
)
from regard.training.recipe import Phase
from regard.training.task import Task

HARD_ENTROPY = 0.002
"""λ_e of hard attention."""


class TeacherForced(NamedTuple):
    """A pass over given targets.

    Attributes:
        loss: their cross-entropy.
        log_probabilities: log p of the real tokens [tokens], without gradient.
        trace: the pass.
        real: bool [batch, rows, time], which tokens are real.
    """

    loss: Tensor
    log_probabilities: Tensor
    trace: Trace
    real: Tensor


class Objective(ABC):
    """Makes the loss of one step."""

    def __init__(self, phase: Phase, task: Task, model: EncoderDecoder, *, number: int) -> None:
        self.phase, self.task, self.model, self.number = phase, task, model, number
        self.device = model.device

    @property
    def decoder(self) -> Decoder:
        """The decoder in training."""
        return self.model.decoder

    @abstractmethod
    def loss(self, inputs: Sequence[int], *, epoch: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of a step on these training inputs, and numbers to report, ``tokens`` among them."""

    def _mixed(self) -> torch.autocast:
        """The decoder's products in the phase's precision."""
        return decoder_autocast(self.device, self.phase.precision)

    def _retaining(self, loss: Tensor, annotations: Annotations, numbers: dict[str, float]) -> Tensor:
        """The loss with λ KL(p⁰ ‖ p) for an encoder that is to keep its classes."""
        concepts = annotations.concepts
        if not self.phase.retain_classes or concepts is None or concepts.forgotten is None:
            return loss
        lost = concepts.forgotten.mean()
        numbers["forgotten"] = float(lost.detach())
        return loss + self.phase.retain_classes * lost

    def _teacher_forced(self, annotations: Annotations, batch: CaptionBatch) -> TeacherForced:
        """Read the targets of a batch, with annotations in its order."""
        tokens, targets = to_device(batch.tokens, self.device), to_device(batch.targets, self.device)
        real = to_device(real_tokens(batch.lengths, batch.tokens.shape[2]), self.device)
        with self._mixed():
            trace = for_training(self.decoder).trace(annotations, tokens, batch.lengths)
            loss, log_probabilities = cross_entropy(
                self.decoder, trace, targets, real, label_smoothing=self.phase.label_smoothing
            )
        return TeacherForced(loss, log_probabilities, trace, real)

    def _penalised(self, loss: Tensor, annotations: Annotations, batch: CaptionBatch, given: TeacherForced) -> Tensor:
        """The loss with the penalties on attention that the phase asks for, of a pass over given targets."""
        phase, weights, names = self.phase, given.trace.weights, self.model.concepts
        if not self.decoder.attends:
            return loss
        if phase.doubly_stochastic:
            regions = weights[..., : annotations.num_regions]
            loss = loss + phase.doubly_stochastic * doubly_stochastic(regions, given.real)
        if phase.attention_entropy:
            loss = loss + phase.attention_entropy * attention_entropy(weights, given.real)
        if phase.attention_maps and names is not None and annotations.concepts is not None:
            targets, tokens = to_device(batch.targets, self.device), names.get_buffer("tokens")
            correctness = attention_correctness(weights, targets, given.real, annotations.concepts, tokens)
            loss = loss + phase.attention_maps * correctness
        return loss

    def _annotate(self, inputs: Sequence[int], *, epoch: int) -> Annotations:
        pictures = isinstance(self.model.encoder, ImageEncoder)
        with encoder_autocast(self.device, self.phase.precision) if pictures else self._mixed():
            annotations = self.task.annotate(self.model, inputs, phase=self.number, epoch=epoch)
        in_bfloat16 = annotations.values.dtype == torch.bfloat16
        return replace(annotations, values=annotations.values.float()) if in_bfloat16 else annotations


class CrossEntropy(Objective):
    """Teacher forcing, with the penalties that attention has."""

    def __init__(self, phase: Phase, task: Task, model: EncoderDecoder, *, number: int, position: Position) -> None:
        super().__init__(phase, task, model, number=number)
        self._position = position

    def loss(self, inputs: Sequence[int], *, epoch: int) -> tuple[Tensor, dict[str, float]]:
        batch = self.task.targets(inputs)
        annotations = self._annotate([inputs[i] for i in batch.order.tolist()], epoch=epoch)
        given = self._teacher_forced(annotations, batch)
        loss, log_probabilities, trace, real = given
        numbers = {"loss": float(loss.detach()), "tokens": float(batch.num_tokens)}
        loss = self._penalised(loss, annotations, batch, given)
        if trace.log_choices is not None:
            loss = loss + self._hard(trace, log_probabilities, real)
        return self._retaining(loss, annotations, numbers), numbers

    def _hard(self, trace: Trace, log_probabilities: Tensor, real: Tensor) -> Tensor:
        baseline = MovingBaseline(self._position.baseline)
        loss = hard_attention_loss(trace, log_probabilities, real, baseline, entropy=HARD_ENTROPY)
        self._position.baseline = baseline.value
        return loss


class RDrop(Objective):
    """Teacher forcing twice on each input, with different dropout (see :func:`regard.training.losses.r_drop_loss`)."""

    def loss(self, inputs: Sequence[int], *, epoch: int) -> tuple[Tensor, dict[str, float]]:
        batch = self.task.targets(inputs)
        # both passes of an input stand beside each other, so that the longest still come first
        annotations = self._annotate([inputs[i] for i in batch.order.tolist() for _ in range(2)], epoch=epoch)
        tokens, lengths = batch.tokens.repeat_interleave(2, dim=0), batch.lengths.repeat_interleave(2, dim=0)
        # positions are counted where the lengths are, since a GPU would have to be waited for
        positions = real_tokens(batch.lengths, batch.tokens.shape[2]).flatten().nonzero().squeeze(1)
        targets = to_device(batch.targets.flatten()[positions], self.device)
        positions = to_device(positions, self.device)
        with self._mixed():
            readouts = for_training(self.decoder).trace(annotations, to_device(tokens, self.device), lengths).readouts
            loss, entropy = r_drop_loss(
                self.decoder,
                (readouts[0::2].flatten(0, 2)[positions], readouts[1::2].flatten(0, 2)[positions]),
                targets,
                alpha=self.phase.r_drop,
                label_smoothing=self.phase.label_smoothing,
            )
        return loss, {"loss": float(entropy), "tokens": float(batch.num_tokens)}


class SelfCriticalObjective(Objective):
    """Captions drawn from the model, each rewarded against the mean of the others of its image.

    Rennie et al. 2017 with the leave-one-out baseline of Luo 2020 ("A better variant of self-critical sequence
    training") in place of the greedy caption, which saves a decode a step.
    """

    def __init__(self, phase: Phase, task: Task, model: EncoderDecoder, *, number: int) -> None:
        super().__init__(phase, task, model, number=number)
        self._rewards = task.rewards(phase.self_critical, self.device)

    def loss(self, inputs: Sequence[int], *, epoch: int) -> tuple[Tensor, dict[str, float]]:
        annotations = self._annotate(inputs, epoch=epoch)
        with self._mixed():
            samples, lengths = self._sample(annotations)
        advantages, reward = self._judge(inputs, samples, lengths)
        # rows longest first, as the unrolled pass wants them
        order = lengths.argsort(dim=1, descending=True)
        samples, lengths = samples.gather(1, order.unsqueeze(-1).expand_as(samples)), lengths.gather(1, order)
        advantages = advantages.gather(1, order)
        tokens = torch.cat([torch.full_like(samples[..., :1], BOS), samples[..., :-1]], dim=-1)
        real = real_tokens(lengths, samples.shape[2])
        with self._mixed():
            trace = for_training(self.decoder).trace(annotations, tokens, lengths)
            loss = policy_gradient(self.decoder, trace, samples, real, advantages, forbidden=SpecialTokens().forbidden)
        numbers = {"reward": reward, "tokens": float(lengths.sum())}
        weight = self.phase.self_critical.cross_entropy
        if weight:
            batch = self.task.targets(inputs)
            ordered = annotations.select(batch.order)
            given = self._teacher_forced(ordered, batch)
            loss, numbers["loss"] = loss + weight * given.loss, float(given.loss.detach())
            loss = self._penalised(loss, ordered, batch, given)
        return self._retaining(loss, annotations, numbers), numbers

    def _sample(self, annotations: Annotations) -> tuple[Tensor, Tensor]:
        settings = self.phase.self_critical
        generator = torch.Generator(self.device).manual_seed(torch.initial_seed() & ((1 << 62) - 1))
        self.decoder.eval()
        samples, lengths = sample_captions(
            self.decoder,
            annotations,
            settings.samples,
            tokens=SpecialTokens(),
            max_length=settings.max_length,
            generator=generator,
        )
        self.decoder.train()
        return samples.clone(), lengths.clone()

    def _judge(self, inputs: Sequence[int], samples: Tensor, lengths: Tensor) -> tuple[Tensor, float]:
        """Advantages [batch, rows], and the mean reward."""
        rewards = self._rewards.judge(inputs, samples, lengths)
        others = (rewards.sum(dim=1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
        return rewards - others, float(rewards.mean())


def build_objective(phase: Phase, task: Task, model: EncoderDecoder, *, seed: int, position: Position) -> Objective:
    """The objective of a phase."""
    if phase.objective == "self_critical":
        return SelfCriticalObjective(phase, task, model, number=position.phase)
    if phase.r_drop:
        return RDrop(phase, task, model, number=position.phase)
    return CrossEntropy(phase, task, model, number=position.phase, position=position)
