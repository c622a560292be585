"""The batch of a step in parts, which processes share and a process takes one after another.

A loss is a mean over the tokens, the captions or the inputs of a step. Each part weighs its own mean by its share of
these, so that the sum over parts is the mean over the step, however many parts there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regard.training.distributed import own_share, world_size


@dataclass(frozen=True)
class MicroBatch:
    """One part of the batch of a step.

    Attributes:
        number: which part it is, over all processes.
        inputs: training inputs, at least one.
        positions: where these stand in the batch.
        batch_size: how many inputs the batch has.
        seed: of what is drawn for this part alone, such as dropout.
        step_seed: of what is drawn for the whole batch.
        tokens, captions, share: of the tokens, the captions and the inputs of the step, what part is in here; all 0
            for an input that stands in for none, since every process takes part in every step.
    """

    number: int
    inputs: list[int]
    positions: list[int]
    batch_size: int
    seed: int
    step_seed: int
    tokens: float
    captions: float
    share: float


def own_micro_batches(
    batch: Sequence[int], targets: Sequence[Sequence[Sequence[int]]], *, accumulate: int, entropy: Sequence[int]
) -> list[MicroBatch]:
    """The parts that this process takes of a batch.

    Args:
        batch: training inputs, the longest first, which all parts get alike.
        targets: for each training input its target sequences, without ``<eos>``.
        accumulate: into how many parts the batch is cut at least; every process takes equally many.
        entropy: whole numbers that name the step; all seeds are functions of them.
    """
    num_parts = math.ceil(accumulate / world_size()) * world_size()
    tokens = [sum(len(target) + 1 for target in targets[each]) for each in batch]
    captions = [len(targets[each]) for each in batch]
    parts = []
    for number in own_share(range(num_parts)):
        positions = list(range(number, len(batch), num_parts))
        shares = (
            sum(tokens[position] for position in positions) / sum(tokens),
            sum(captions[position] for position in positions) / sum(captions),
            len(positions) / len(batch),
        )
        chosen = positions or [0]
        inputs, seed = [batch[position] for position in chosen], _seed([*entropy, number] if number else entropy)
        parts.append(MicroBatch(number, inputs, chosen, len(batch), seed, _seed(entropy), *shares))
    return parts


def _seed(entropy: Sequence[int]) -> int:
    return int(np.random.SeedSequence(list(entropy)).generate_state(1, np.uint64)[0] >> 1)
