"""The interface between the training loop and a task, captioning or translation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch

from regard.annotations import Annotations
from regard.data.batching import CaptionBatch, assemble_captions
from regard.model import EncoderDecoder
from regard.progress import Progress
from regard.search import SearchOptions
from regard.training.batched_rewards import BatchedRewards
from regard.training.recipe import Phase, SelfCritical
from regard.training.rewards import Rewards


class Task(ABC):
    """Data, batches and judgement.

    Attributes:
        seed: of order and augmentation.
        captions: for each training input the target id sequences, without ``<bos>`` and ``<eos>``.
        vocabulary_size: number of target ids.
        source_vocabulary_size: number of source ids; 0 where sources are pictures.
    """

    seed: int
    captions: Sequence[Sequence[Sequence[int]]]
    vocabulary_size: int
    source_vocabulary_size: int = 0

    @abstractmethod
    def prepare(self, model: EncoderDecoder, progress: Progress) -> None:
        """Do once what training and validation need of the model's frozen part."""

    @abstractmethod
    def batches(self, phase: Phase, *, number: int, epoch: int) -> list[list[int]]:
        """The training inputs of each step of an epoch; a function of (seed, number of the phase, epoch)."""

    def targets(self, inputs: Sequence[int]) -> CaptionBatch:
        """What is to be written for these training inputs, laid out."""
        return assemble_captions([self.captions[each] for each in inputs])

    @abstractmethod
    def annotate(self, model: EncoderDecoder, inputs: Sequence[int], *, phase: int, epoch: int) -> Annotations:
        """Annotations of training inputs."""

    @abstractmethod
    def validate(self, model: EncoderDecoder, options: SearchOptions, progress: Progress) -> dict[str, Any]:
        """Search for every validation input and score the words: numbers by name, and their signature."""

    @property
    @abstractmethod
    def validation_inputs(self) -> Sequence[str]:
        """The paths of the validation images, or the validation sentences."""

    @property
    def references(self) -> Sequence[Sequence[Sequence[int]]]:
        """For each training input the id sequences that samples are rewarded for being like."""
        return self.captions

    def rewards(self, settings: SelfCritical, device: torch.device) -> Rewards | BatchedRewards:
        """The judge of self-critical training, of samples on ``device``."""
        if device.type == "cpu":
            return Rewards(self.references, settings)
        return BatchedRewards(self.references, settings, vocabulary_size=self.vocabulary_size, device=device)
