"""Rewards of self-critical training: CIDEr-D and BLEU-4 of one sampled sequence against its references."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from regard.metrics import CiderD
from regard.metrics.bleu import BleuReferences
from regard.text.vocabulary import EOS
from regard.training.recipe import SelfCritical


class Rewards:
    """Rewards of sampled sequences, on ids: words of a caption, subwords of a translation.

    The end counts as a word, on both sides, so that a caption that stops in the middle is not rewarded for it (the
    "a man in a" that plain CIDEr-D optimisation is known for).

    Args:
        references: for each training input its id sequences, without ``<eos>``.
        settings: the weights of the two scores; one of weight 0 costs nothing.
    """

    def __init__(self, references: Sequence[Sequence[Sequence[int]]], settings: SelfCritical) -> None:
        ended = [[[*sequence, EOS] for sequence in each] for each in references]
        self._settings = settings
        self._cider = CiderD.from_references(ended) if settings.cider else None
        self._vectors = [self._cider.reference_vectors(each) for each in ended] if self._cider else []
        self._bleu = [BleuReferences(each) for each in ended] if settings.bleu else []

    def judge(self, inputs: Sequence[int], samples: Tensor, lengths: Tensor) -> Tensor:
        """The reward of each sample.

        Args:
            inputs: the training inputs.
            samples: int64 [batch, rows, time], their ends included.
            lengths: int64 [batch, rows].

        Returns:
            float32 [batch, rows].
        """
        return torch.tensor(
            [
                [self(number, row[:length]) for row, length in zip(rows, ends, strict=True)]
                for number, rows, ends in zip(inputs, samples.tolist(), lengths.tolist(), strict=True)
            ]
        )

    def __call__(self, number: int, sample: Sequence[int]) -> float:
        """The reward of one sequence for one training input, its end included."""
        reward = 0.0
        if self._cider:
            reward += self._settings.cider * self._cider.score(sample, self._vectors[number])
        if self._bleu:
            reward += self._settings.bleu * self._bleu[number].sentence_bleu(sample)
        return reward
