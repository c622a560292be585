"""The rewards of :mod:`regard.training.rewards` for whole batches at once, with torch's operations on any device.

N-grams become whole numbers, and two sequences are compared by comparing all their positions: sequences are short, so
that this is little work for a GPU, which is spared the way over the processor. A sum over the distinct n-grams of a
sequence becomes a sum over its positions: each of the c positions where an n-gram stands contributes 1/c of its term.

    CIDEr-D   Σ_k min(c_hk, c_rk) c_rk idf_k²  =  Σ_position min(c_h, c_r) c_r idf² / c_h
    ‖g_h‖²    Σ_k (c_hk idf_k)²                =  Σ_position c_h idf²
    BLEU      Σ_k min(c_hk, max_r c_rk)        =  Σ_position min(c_h, max_r c_r) / c_h
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from regard.metrics.cider import MAX_ORDER, SCALE, SIGMA
from regard.text.vocabulary import EOS
from regard.training.recipe import SelfCritical

_NOTHING = -1
"""In the place of an n-gram: there is none."""


class _Ngrams(NamedTuple):
    """The n-grams of one order of sequences, [..., position]; ``_NOTHING`` where none begins.

    Attributes:
        keys: int64, equal for equal n-grams.
        counts: float64, how often the n-gram stands in its own sequence.
        rarity: float64, log I − log max(1, df).
    """

    keys: Tensor
    counts: Tensor
    rarity: Tensor

    @property
    def real(self) -> Tensor:
        """Where an n-gram begins."""
        return self.keys != _NOTHING


class BatchedRewards:
    """Rewards of sampled sequences, as :class:`regard.training.rewards.Rewards` gives them one by one.

    Args:
        references: for each training input its id sequences, without ``<eos>``.
        settings: the weights of the two scores.
        vocabulary_size: ids are smaller.
        device: where the samples will lie.
    """

    def __init__(
        self,
        references: Sequence[Sequence[Sequence[int]]],
        settings: SelfCritical,
        *,
        vocabulary_size: int,
        device: torch.device,
    ) -> None:
        self._settings = settings
        tokens, lengths = _pad(references)
        self._base = vocabulary_size
        assert self._base**MAX_ORDER < 2**63, "an n-gram of these ids is a number of 63 bits"
        self._tokens, self._lengths = tokens.to(device), lengths.to(device)
        self._log_images = math.log(len(references))
        self._known = [_document_frequencies(self._keys(tokens, lengths, n)) for n in range(1, MAX_ORDER + 1)]
        self._known = [(keys.to(device), logs.to(device)) for keys, logs in self._known]

    def judge(self, inputs: Sequence[int], samples: Tensor, lengths: Tensor) -> Tensor:
        """See :meth:`regard.training.rewards.Rewards.judge`."""
        chosen = torch.tensor(list(inputs), device=samples.device)
        references, reference_lengths = self._tokens[chosen], self._lengths[chosen]
        real = (reference_lengths > 0).unsqueeze(1)
        similarity = torch.zeros(*samples.shape[:2], references.shape[1], dtype=torch.float64, device=samples.device)
        matches = []
        for order in range(1, MAX_ORDER + 1):
            sampled = self._ngrams(samples, lengths, order)
            theirs = self._ngrams(references, reference_lengths, order)
            common = _common_counts(sampled, theirs)
            similarity += _cosine(sampled, theirs, common)
            clipped = torch.minimum(sampled.counts, common.amax(dim=2)) / sampled.counts
            matches.append((clipped * sampled.real).sum(dim=-1))
        reward = self._settings.cider * _cider(similarity, lengths, reference_lengths, real)
        if self._settings.bleu:
            reward = reward + self._settings.bleu * _sentence_bleu(matches, lengths, reference_lengths)
        return reward.float()

    def _ngrams(self, tokens: Tensor, lengths: Tensor, order: int) -> _Ngrams:
        keys = self._keys(tokens, lengths, order)
        counts = (keys.unsqueeze(-1) == keys.unsqueeze(-2)).sum(dim=-1).double()
        known, logs = self._known[order - 1]
        positions = torch.searchsorted(known, keys.contiguous()).clamp_max_(len(known) - 1)
        frequency = torch.where(known[positions] == keys, logs[positions], 0.0)
        return _Ngrams(keys, counts, (self._log_images - frequency) * (keys != _NOTHING))

    def _keys(self, tokens: Tensor, lengths: Tensor, order: int) -> Tensor:
        """int64 [..., position] of tokens [..., time], of n-grams that lie whole inside their sequence."""
        num_positions = tokens.shape[-1] - order + 1
        if num_positions < 1:
            return tokens.new_full((*tokens.shape[:-1], 1), _NOTHING)
        keys = torch.zeros_like(tokens[..., :num_positions])
        for place in range(order):
            keys = keys * self._base + tokens[..., place : place + num_positions]
        ends = torch.arange(order, order + num_positions, device=tokens.device)
        return keys.masked_fill_(ends > lengths.unsqueeze(-1), _NOTHING)


def _pad(references: Sequence[Sequence[Sequence[int]]]) -> tuple[Tensor, Tensor]:
    """int64 [input, reference, time] with ``<eos>`` behind each reference, and their lengths, 0 where there is none."""
    rows = max(len(group) for group in references)
    time = max(len(sequence) + 1 for group in references for sequence in group)
    tokens = np.zeros((len(references), rows, time), dtype=np.int64)
    lengths = np.zeros((len(references), rows), dtype=np.int64)
    for i, group in enumerate(references):
        for j, sequence in enumerate(group):
            tokens[i, j, : len(sequence) + 1] = [*sequence, EOS]
            lengths[i, j] = len(sequence) + 1
    return torch.from_numpy(tokens), torch.from_numpy(lengths)


def _document_frequencies(keys: Tensor) -> tuple[Tensor, Tensor]:
    """N-grams in ascending order, and the logarithm of how many inputs have each, of keys [input, reference, place]."""
    flat = keys.flatten(1)
    inputs = torch.arange(len(flat)).unsqueeze(1).expand_as(flat)
    pairs = torch.stack([flat[flat != _NOTHING], inputs[flat != _NOTHING]], dim=1).numpy()
    known, counts = np.unique(np.unique(pairs, axis=0)[:, 0], return_counts=True)
    if not len(known):
        return torch.full((1,), _NOTHING), torch.zeros(1, dtype=torch.float64)
    return torch.from_numpy(known), torch.from_numpy(counts).double().log()


def _common_counts(sampled: _Ngrams, theirs: _Ngrams) -> Tensor:
    """How often the n-gram at each position of a sample stands in each reference, [batch, row, reference, position]."""
    ours = sampled.keys[:, :, None, :, None]
    return ((ours == theirs.keys[:, None, :, None, :]) & (ours != _NOTHING)).sum(dim=-1).double()


def _cosine(sampled: _Ngrams, theirs: _Ngrams, common: Tensor) -> Tensor:
    """Of one order, the clipped product of the two vectors over the product of their norms, [batch, row, reference]."""
    counts, rarity = sampled.counts.unsqueeze(2), sampled.rarity.unsqueeze(2)
    products = (torch.minimum(counts, common) * common * rarity.square() / counts).sum(dim=-1)
    norms = _norm(sampled).unsqueeze(2) * _norm(theirs).unsqueeze(1)
    return torch.where(norms > 0, products / norms.clamp_min(1e-300), 0.0)


def _norm(ngrams: _Ngrams) -> Tensor:
    return (ngrams.counts * ngrams.rarity.square()).sum(dim=-1).sqrt()


def _cider(similarity: Tensor, lengths: Tensor, reference_lengths: Tensor, real: Tensor) -> Tensor:
    """CIDEr-D [batch, row] of similarities summed over the orders [batch, row, reference]."""
    num_bigrams, theirs = (lengths - 1).clamp_min(0), (reference_lengths - 1).clamp_min(0)
    difference = (num_bigrams.unsqueeze(2) - theirs.unsqueeze(1)).double()
    penalised = similarity * torch.exp(-difference.square() / (2 * SIGMA**2)) * real
    return SCALE * penalised.sum(dim=-1) / (MAX_ORDER * real.sum(dim=-1))


def _sentence_bleu(matches: Sequence[Tensor], lengths: Tensor, reference_lengths: Tensor) -> Tensor:
    """Smoothed BLEU-4 [batch, row], see :func:`regard.metrics.bleu.sentence_bleu`."""
    length = lengths.double()
    log_precision = (matches[0] / length).log()
    for order, matched in enumerate(matches[1:], start=2):
        log_precision = log_precision + ((matched + 1) / ((length - order + 1).clamp_min(0) + 1)).log()
    distance = (reference_lengths.unsqueeze(1) - lengths.unsqueeze(2)).abs().double()
    # of two that are equally near the shorter one counts
    distance = distance + 0.5 * (reference_lengths.unsqueeze(1) > lengths.unsqueeze(2))
    nearest = distance.masked_fill(reference_lengths.unsqueeze(1) == 0, math.inf).argmin(dim=-1)
    closest = reference_lengths.gather(1, nearest).double()
    bleu = torch.exp(log_precision / MAX_ORDER + (1 - closest / length).clamp_max(0))
    return torch.where(matches[0] > 0, bleu, 0.0)
