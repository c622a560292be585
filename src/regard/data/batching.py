"""Which samples go together, in which order, and how their tokens are laid out.

The order of an epoch is a function of (seed, epoch) and of nothing else, so that a restart or another number of workers
cannot change a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from regard.text.vocabulary import BOS, EOS, PAD

Indices = npt.NDArray[np.int64]


def epoch_order(count: int, *, seed: int, epoch: int) -> Indices:
    """A permutation of 0 … ``count`` - 1, int64, a function of (count, seed, epoch) on every machine.

    Random keys are sorted; NumPy promises the raw bits of a generator for good, but not what it shuffles with them.
    """
    return _permutation(count, seed, epoch)


def _permutation(count: int, *entropy: int) -> Indices:
    assert min(count, *entropy) >= 0, "count, seed and epoch are not negative"
    keys = np.random.PCG64(np.random.SeedSequence(entropy)).random_raw(count)
    return np.argsort(keys, kind="stable").astype(np.int64)


def bucketed_batches(
    lengths: npt.ArrayLike, *, seed: int, epoch: int, batch_size: int | None = None, max_tokens: int | None = None
) -> list[Indices]:
    """Every sample once, in batches of similar length, the batches in random order.

    Samples of equal length are mixed anew in every epoch.

    Args:
        lengths: [sample], or [sample, side] where a sample has several, such as source and target; for an image the
            length of its longest caption.
        seed, epoch: the order is a function of these.
        batch_size: the greatest number of samples in a batch.
        max_tokens: the greatest number of tokens in a batch as it is laid out, padding included, on its longest side.
            A sample that is longer than this makes a batch of its own.

    Returns:
        Indices of the samples of each batch, the longest first.
    """
    assert batch_size or max_tokens, "a batch needs a limit: batch_size, max_tokens or both"
    sides = np.asarray(lengths, dtype=np.int64)
    if not len(sides):
        return []
    sides = sides.reshape(len(sides), -1)
    mixed = epoch_order(len(sides), seed=seed, epoch=epoch)
    # the first side decides, the others break ties; lexsort sorts by its last key first and is stable
    by_length = mixed[np.lexsort(-sides[mixed].T[::-1])]
    batches = cut(by_length, sides.max(axis=1), batch_size=batch_size, max_tokens=max_tokens)
    # a third number, so that the batches are not mixed by the stream that mixed the samples
    return [batches[i] for i in _permutation(len(batches), seed, epoch, 1)]


def cut(order: Indices, lengths: Indices, *, batch_size: int | None, max_tokens: int | None) -> list[Indices]:
    """Samples in a given order, at least one, as batches; for limits and lengths see :func:`bucketed_batches`."""
    batches, first, longest = [], 0, 0
    for position, index in enumerate(order):
        grown = max(longest, int(lengths[index]))
        count = position - first + 1
        full = batch_size is not None and count > batch_size
        over = max_tokens is not None and count > 1 and count * grown > max_tokens
        if full or over:
            batches.append(order[first:position])
            first, grown = position, int(lengths[index])
        longest = grown
    return [*batches, order[first:]]


@dataclass(frozen=True)
class CaptionBatch:
    """Targets of a batch, laid out for a teacher-forced pass.

    The inputs with the longest rows come first, and within an input its longest rows, so that at every step the rows
    that still have words to read are a leading block (see :mod:`regard.ops.packing`).

    Attributes:
        order: int64 [batch], which of the given samples each place holds; annotations are gathered by it.
        tokens: int64 [batch, rows, time], what is read: ``<bos>`` and the words, then ``<pad>``.
        targets: int64 [batch, rows, time], what is to be written: the words and ``<eos>``, then ``<pad>``.
        lengths: int64 [batch, rows], how many of each row's tokens are real; 0 where an input has fewer captions.
    """

    order: Tensor
    tokens: Tensor
    targets: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.order)

    @property
    def num_tokens(self) -> int:
        """How many words are to be written, ``<eos>`` included."""
        return int(self.lengths.sum())

    def to(self, device: torch.device | str) -> Self:
        """The same batch on ``device``."""
        moved = {name: tensor.to(device) for name, tensor in vars(self).items()}
        return replace(self, **moved)


def assemble_captions(captions: Sequence[Sequence[Sequence[int]]]) -> CaptionBatch:
    """Lay out the captions of several images.

    Args:
        captions: for each image its captions, each as ids without ``<bos>`` and ``<eos>``; an image may have more
            captions than another.
    """
    rows = [sorted(image, key=len, reverse=True) for image in captions]
    order = sorted(range(len(rows)), key=lambda i: -max((len(row) for row in rows[i]), default=-1))
    ordered = [rows[i] for i in order]
    num_rows = max((len(image) for image in ordered), default=0)
    time = max((len(row) + 1 for image in ordered for row in image), default=0)
    tokens = np.full((len(ordered), num_rows, time), PAD, dtype=np.int64)
    targets = tokens.copy()
    lengths = np.zeros((len(ordered), num_rows), dtype=np.int64)
    for i, image in enumerate(ordered):
        for j, row in enumerate(image):
            tokens[i, j, : len(row) + 1] = [BOS, *row]
            targets[i, j, : len(row) + 1] = [*row, EOS]
            lengths[i, j] = len(row) + 1
    return CaptionBatch(
        order=torch.tensor(order, dtype=torch.int64),
        tokens=torch.from_numpy(tokens),
        targets=torch.from_numpy(targets),
        lengths=torch.from_numpy(lengths),
    )


def pad_sources(sources: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Ids int64 [batch, position] and mask bool [batch, position] of sentences, each of at least one id."""
    assert all(sources), "a source has at least <eos> to look at"
    longest = max((len(source) for source in sources), default=0)
    ids = np.full((len(sources), longest), PAD, dtype=np.int64)
    for i, source in enumerate(sources):
        ids[i, : len(source)] = source
    lengths = np.array([len(source) for source in sources], dtype=np.int64)
    return torch.from_numpy(ids), torch.from_numpy(np.arange(longest) < lengths[:, None])
