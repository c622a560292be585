"""Training objectives: the loss of one step, from given captions (cross-entropy) or from sampled ones (rewards)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from regard.training.distributed import sum_over_processes
from regard.training.losses import (
    attention_correctness,
    attention_entropy,
    caption_log_probabilities,
    cross_entropy,
    doubly_stochastic,
    hard_attention_loss,
    move_baseline,
    policy_gradient,
    r_drop_loss,
    real_tokens,
)
from regard.training.micro_batches import MicroBatch
from regard.training.recipe import Phase
from regard.training.task import Task

HARD_ENTROPY = 0.002
"""λ_e of hard attention."""
CAPTION_LOG_PROBABILITY = "caption_log_probability"
"""What hard attention reports: the mean over captions, which moves its baseline."""


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
    """Makes the loss of one step, a micro-batch at a time.

    What :meth:`loss` returns for a micro-batch is its part of the mean over the step; so are the numbers to report.
    """

    def __init__(self, phase: Phase, task: Task, model: EncoderDecoder, *, number: int) -> None:
        self.phase, self.task, self.model, self.number = phase, task, model, number
        self.device = model.device

    @property
    def decoder(self) -> Decoder:
        """The decoder in training."""
        return self.model.decoder

    def prepare(self, micro_batches: Sequence[MicroBatch], *, epoch: int) -> Sequence[MicroBatch]:
        """The micro-batches of a step with what has to be known of all of them before the loss of one."""
        return micro_batches

    @abstractmethod
    def loss(self, micro: MicroBatch, *, epoch: int) -> tuple[Tensor, dict[str, float]]:
        """The loss on a micro-batch, and numbers to report, ``tokens`` among them."""

    def finish(self, numbers: dict[str, float]) -> None:  # noqa: B027  most have nothing to learn
        """Learn the numbers of a whole step."""

    def _mixed(self) -> torch.autocast:
        """The decoder's products in the phase's precision."""
        return decoder_autocast(self.device, self.phase.precision)

    def _retaining(
        self, loss: Tensor, annotations: Annotations, micro: MicroBatch, numbers: dict[str, float]
    ) -> Tensor:
        """The loss with λ KL(p⁰ ‖ p) for an encoder that is to keep its classes."""
        concepts = annotations.concepts
        if not self.phase.retain_classes or concepts is None or concepts.forgotten is None:
            return loss
        lost = concepts.forgotten.mean() * micro.share
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

    def _penalised(
        self, loss: Tensor, annotations: Annotations, batch: CaptionBatch, given: TeacherForced, micro: MicroBatch
    ) -> Tensor:
        """The loss with the penalties on attention that the phase asks for, of a pass over given targets."""
        phase, weights, names = self.phase, given.trace.weights, self.model.concepts
        if not self.decoder.attends:
            return loss
        if phase.doubly_stochastic:
            regions = weights[..., : annotations.num_regions]
            loss = loss + phase.doubly_stochastic * doubly_stochastic(regions, given.real) * micro.captions
        if phase.attention_entropy:
            loss = loss + phase.attention_entropy * attention_entropy(weights, given.real) * micro.tokens
        if phase.attention_maps and names is not None and annotations.concepts is not None:
            targets, tokens = to_device(batch.targets, self.device), names.get_buffer("tokens")
            correctness = attention_correctness(weights, targets, given.real, annotations.concepts, tokens)
            loss = loss + phase.attention_maps * correctness * micro.captions
        return loss

    def _annotate(self, inputs: Sequence[int], *, epoch: int) -> Annotations:
        pictures = isinstance(self.model.encoder, ImageEncoder)
        with encoder_autocast(self.device, self.phase.precision) if pictures else self._mixed():
            annotations = self.task.annotate(self.model, inputs, phase=self.number, epoch=epoch)
        if annotations.values.dtype in (torch.bfloat16, torch.float16):
            return replace(annotations, values=annotations.values.float())
        return annotations


class CrossEntropy(Objective):
    """Teacher forcing, with the penalties that attention has."""

    def __init__(self, phase: Phase, task: Task, model: EncoderDecoder, *, number: int, position: Position) -> None:
        super().__init__(phase, task, model, number=number)
        self._position = position

    def loss(self, micro: MicroBatch, *, epoch: int) -> tuple[Tensor, dict[str, float]]:
        batch = self.task.targets(micro.inputs)
        annotations = self._annotate([micro.inputs[i] for i in batch.order.tolist()], epoch=epoch)
        given = self._teacher_forced(annotations, batch)
        loss = given.loss * micro.tokens
        numbers = {"loss": float(loss.detach()), "tokens": _num_tokens(batch, micro)}
        loss = self._penalised(loss, annotations, batch, given, micro)
        if given.trace.log_choices is not None:
            loss = loss + self._hard(given, micro, numbers)
        return self._retaining(loss, annotations, micro, numbers), numbers

    def finish(self, numbers: dict[str, float]) -> None:
        if CAPTION_LOG_PROBABILITY in numbers:
            self._position.baseline = move_baseline(self._position.baseline, numbers[CAPTION_LOG_PROBABILITY])

    def _hard(self, given: TeacherForced, micro: MicroBatch, numbers: dict[str, float]) -> Tensor:
        of_captions = caption_log_probabilities(given.log_probabilities, given.real)
        mean, baseline = float(of_captions.mean()), self._position.baseline
        numbers[CAPTION_LOG_PROBABILITY] = mean * micro.captions
        advantage = of_captions - (mean if baseline is None else baseline)
        return hard_attention_loss(given.trace, advantage, given.real, entropy=HARD_ENTROPY) * micro.tokens


class RDrop(Objective):
    """Teacher forcing twice on each input, with different dropout (see :func:`regard.training.losses.r_drop_loss`)."""

    def loss(self, micro: MicroBatch, *, epoch: int) -> tuple[Tensor, dict[str, float]]:
        batch = self.task.targets(micro.inputs)
        # both passes of an input stand beside each other, so that the longest still come first
        twice = [micro.inputs[i] for i in batch.order.tolist() for _ in range(2)]
        annotations = self._annotate(twice, epoch=epoch)
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
        return loss * micro.tokens, {"loss": float(entropy) * micro.tokens, "tokens": _num_tokens(batch, micro)}


@dataclass(frozen=True)
class SampledMicroBatch(MicroBatch):
    """A micro-batch with captions drawn from the model.

    Attributes:
        samples: int64 [input, row, time], the captions.
        lengths: int64 [input, row], how many tokens of each are real.
        of_step: tokens drawn in the whole step, over all processes.
        annotations: of the inputs, where this is the only micro-batch of its process; otherwise they are computed
            anew, since the graphs of several would take the memory that micro-batches are to save.
    """

    samples: Tensor
    lengths: Tensor
    annotations: Annotations | None
    of_step: float = 1.0

    @property
    def num_sampled(self) -> float:
        """How many tokens are drawn here."""
        return float(self.lengths.sum()) if self.share else 0.0


class SelfCriticalObjective(Objective):
    """Captions drawn from the model, each rewarded against the mean of the others of its image.

    Rennie et al. 2017 with the leave-one-out baseline of Luo 2020 ("A better variant of self-critical sequence
    training") in place of the greedy caption, which saves a decode a step.
    """

    def __init__(self, phase: Phase, task: Task, model: EncoderDecoder, *, number: int) -> None:
        super().__init__(phase, task, model, number=number)
        self._rewards = task.rewards(phase.self_critical, self.device)

    def prepare(self, micro_batches: Sequence[MicroBatch], *, epoch: int) -> Sequence[SampledMicroBatch]:
        """Draw the captions of all, because the loss of each is its part of a mean over all tokens drawn."""
        alone = len(micro_batches) == 1
        sampled = [self._sample(micro, epoch=epoch, keep_annotations=alone) for micro in micro_batches]
        of_step = sum_over_processes({"tokens": sum(each.num_sampled for each in sampled)})["tokens"]
        return [replace(each, of_step=of_step) for each in sampled]

    def loss(self, micro: MicroBatch, *, epoch: int) -> tuple[Tensor, dict[str, float]]:
        assert isinstance(micro, SampledMicroBatch), "prepare comes first"
        annotations = micro.annotations or self._annotate(micro.inputs, epoch=epoch)
        advantages, reward = self._judge(micro.inputs, micro.samples, micro.lengths)
        # rows longest first, as the unrolled pass wants them
        order = micro.lengths.argsort(dim=1, descending=True)
        samples = micro.samples.gather(1, order.unsqueeze(-1).expand_as(micro.samples))
        lengths, advantages = micro.lengths.gather(1, order), advantages.gather(1, order)
        tokens = torch.cat([torch.full_like(samples[..., :1], BOS), samples[..., :-1]], dim=-1)
        real = real_tokens(lengths, samples.shape[2])
        with self._mixed():
            trace = for_training(self.decoder).trace(annotations, tokens, lengths)
            loss = policy_gradient(self.decoder, trace, samples, real, advantages, forbidden=SpecialTokens().forbidden)
        loss = loss * (micro.num_sampled / micro.of_step)
        numbers = {"reward": reward * micro.share, "tokens": micro.num_sampled}
        weight = self.phase.self_critical.cross_entropy
        if weight:
            batch = self.task.targets(micro.inputs)
            ordered = annotations.select(batch.order)
            given = self._teacher_forced(ordered, batch)
            entropy = given.loss * micro.tokens
            loss, numbers["loss"] = loss + weight * entropy, float(entropy.detach())
            loss = self._penalised(loss, ordered, batch, given, micro)
        return self._retaining(loss, annotations, micro, numbers), numbers

    def _sample(self, micro: MicroBatch, *, epoch: int, keep_annotations: bool) -> SampledMicroBatch:
        settings = self.phase.self_critical
        generator = torch.Generator(self.device).manual_seed(micro.step_seed & ((1 << 62) - 1))
        torch.manual_seed(micro.seed ^ 1)  # the pass that learns has other dropout
        with torch.set_grad_enabled(keep_annotations):
            annotations = self._annotate(micro.inputs, epoch=epoch)
        self.decoder.eval()
        with self._mixed():
            samples, lengths = sample_captions(
                self.decoder,
                annotations,
                settings.samples,
                tokens=SpecialTokens(),
                max_length=settings.max_length,
                generator=generator,
                within=(micro.positions, micro.batch_size),
            )
        self.decoder.train()
        kept = annotations if keep_annotations else None
        return SampledMicroBatch(**vars(micro), samples=samples.clone(), lengths=lengths.clone(), annotations=kept)

    def _judge(self, inputs: Sequence[int], samples: Tensor, lengths: Tensor) -> tuple[Tensor, float]:
        """Advantages [batch, rows], and the mean reward."""
        rewards = self._rewards.judge(inputs, samples, lengths)
        others = (rewards.sum(dim=1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
        return rewards - others, float(rewards.mean())


def _num_tokens(batch: CaptionBatch, micro: MicroBatch) -> float:
    """The tokens that are learned from here."""
    return float(batch.num_tokens) if micro.share else 0.0


def build_objective(phase: Phase, task: Task, model: EncoderDecoder, *, seed: int, position: Position) -> Objective:
    """The objective of a phase."""
    if phase.objective == "self_critical":
        return SelfCriticalObjective(phase, task, model, number=position.phase)
    if phase.r_drop:
        return RDrop(phase, task, model, number=position.phase)
    return CrossEntropy(phase, task, model, number=position.phase, position=position)
