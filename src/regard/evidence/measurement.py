"""Measures the faithfulness of every word of a text, batched over words, orders and shares.

Every erased copy of the input is force-decoded by the search's own stepper. Orders that all words share, such as random
ones, read the whole text from each copy; a word's own order asks each copy for that word alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from regard.annotations import Annotations
from regard.decoders.base import Decoder, Stepper
from regard.evidence.erasure import Written, erased_log_probabilities, real_positions
from regard.faithfulness import FRACTIONS, GRADIENT, OCCLUSION, RANDOM, UNIFORM, WEIGHTS, Curve, Faithfulness, Floats
from regard.fast import for_training
from regard.text.vocabulary import BOS

Order = npt.NDArray[np.intp]
"""Positions, the first to be erased first."""
DRAWS = 5
"""Random orders that the order by weights is held against."""


def measure_words(
    stepper: Stepper, annotations: Annotations, written: Written, *, decoder: Decoder | None = None, seed: int = 0
) -> list[Faithfulness]:
    """Measure every word of a text.

    Args:
        stepper: of the model's decoder.
        annotations: of the text's input, alone in its batch.
        written: the text.
        decoder: the decoder itself, for the order by gradient; None leaves that out.
        seed: of the random orders.
    """
    if not written.words:
        return []
    erasures = _Erasures(stepper, annotations, written)
    importance = erasures.importance()
    weights = written.word_weights()[:, : erasures.count]
    orders = {WEIGHTS: descending(weights), OCCLUSION: descending(importance)}
    if decoder is not None:
        orders[GRADIENT] = descending(gradient_importance(decoder, annotations, written)[:, : erasures.count])
    curves = {name: erasures.curves(order) for name, order in orders.items()}
    curves[RANDOM] = erasures.random_curves(seed)
    curves[UNIFORM] = erasures.uniform_curves()
    full, none = erasures.ends()
    return [
        Faithfulness(
            log_probability=float(full[word]),
            log_probability_without=float(none[word]),
            curves={name: found[word] for name, found in curves.items()},
            importance=tuple(importance[word].tolist()),
            weights=tuple(weights[word].tolist()),
        )
        for word in range(len(written.words))
    ]


def counts(positions: int) -> tuple[int, ...]:
    """How many positions each of :data:`FRACTIONS` is: at least one, and never all where there are several."""
    return tuple(min(max(1, round(share * positions)), max(1, positions - 1)) for share in FRACTIONS)


class _Erasures:
    """What is asked of one text and its input."""

    def __init__(self, stepper: Stepper, annotations: Annotations, written: Written) -> None:
        self._stepper, self._annotations, self._written = stepper, annotations, written
        self.count = real_positions(annotations)
        self._size = annotations.values.shape[1]
        sizes = counts(self.count)
        self._sizes = sorted(set(sizes))
        self._shares = [self._sizes.index(size) for size in sizes]

    def ends(self) -> tuple[Floats, Floats]:
        """log p of each word with all positions, and with none."""
        full, none = self._all_words(np.stack([np.ones(self._size), np.zeros(self._size)]))
        return full, none

    def importance(self) -> Floats:
        """log p that each word loses with each position, [word, position]."""
        alone = np.ones((self.count + 1, self._size))
        alone[np.arange(self.count), np.arange(self.count)] = 0.0
        found = self._all_words(alone)
        lost: Floats = found[-1] - found[:-1]
        return lost.T

    def curves(self, orders: Order) -> list[Curve]:
        """A curve for each word, of its own order of positions [word, position]."""
        strengths = np.concatenate([self._steps(order) for order in orders])
        owners = np.repeat(np.arange(len(orders)), 2 * len(self._sizes))
        asked = [self._written.range_of(int(owner)) for owner in owners]
        pieces = erased_log_probabilities(self._stepper, self._annotations, strengths, self._written.ids, asked)
        own = self._written.of_words(pieces)[np.arange(len(owners)), owners].reshape(len(orders), 2, -1)
        own = own[:, :, self._shares]
        return [Curve(tuple(deleted.tolist()), tuple(inserted.tolist())) for deleted, inserted in own]

    def random_curves(self, seed: int) -> list[Curve]:
        """A curve for each word, the mean over random orders that all words share."""
        generator = np.random.default_rng(seed)
        draws = [self._steps(generator.permutation(self.count)) for _ in range(DRAWS)]
        found = self._all_words(np.concatenate(draws)).reshape(DRAWS, 2, len(self._sizes), -1)[:, :, self._shares]
        mean, spread = found.mean(axis=0), found[:, 0].std(axis=0, ddof=1)
        return [
            Curve(tuple(mean[0, :, word].tolist()), tuple(mean[1, :, word].tolist()), tuple(spread[:, word].tolist()))
            for word in range(len(self._written.words))
        ]

    def uniform_curves(self) -> list[Curve]:
        """A curve for each word, erased everywhere alike."""
        left = np.array([*(1 - share for share in FRACTIONS), *FRACTIONS])
        found = self._all_words(np.repeat(left[:, None], self._size, axis=1)).reshape(2, len(FRACTIONS), -1)
        return [Curve(*(tuple(part[:, word].tolist()) for part in found)) for word in range(len(self._written.words))]

    def _steps(self, order: Order) -> Floats:
        """What is left of each size of share: first all but those that come first, then these; [2 · size, position]."""
        first = np.zeros((len(self._sizes), self._size))
        for row, size in zip(first, self._sizes, strict=True):
            row[order[:size]] = 1.0
        return np.concatenate([1 - first, first])

    def _all_words(self, strengths: Floats) -> Floats:
        """log p of all words from each copy, [copy, word]."""
        asked = [range(len(self._written.ids))] * len(strengths)
        pieces = erased_log_probabilities(self._stepper, self._annotations, strengths, self._written.ids, asked)
        return self._written.of_words(pieces)


def gradient_importance(decoder: Decoder, annotations: Annotations, written: Written) -> Floats:
    """|(a_i − ā) · ∂ log p / ∂ a_i| of each word, [word, position]."""
    words, device = len(written.words), annotations.values.device
    tokens = torch.tensor([[BOS, *written.ids[:-1]]], device=device).unsqueeze(0)
    mean = annotations.mean().unsqueeze(1)
    with torch.inference_mode(False), torch.enable_grad():
        # a copy for each word: one backward pass gives the gradients of all
        values = annotations.values.detach().clone().expand(words, -1, -1).contiguous().requires_grad_(True)
        mask = None if annotations.mask is None else annotations.mask.clone().expand(words, -1)
        summary = None if annotations.summary is None else annotations.summary.clone().expand(words, -1)
        trace = for_training(decoder).trace(Annotations(values, mask, summary), tokens.clone().expand(words, -1, -1))
        log_probabilities = decoder.logits(trace.readouts[:, 0]).float().log_softmax(dim=-1)
        own = [
            log_probabilities[word, place, written.ids[place]]
            for word, pieces in enumerate(written.words)
            for place in pieces
        ]
        (gradient,) = torch.autograd.grad(torch.stack(own).sum(), values)
    found: Floats = ((values.detach() - mean) * gradient).sum(dim=-1).abs().double().cpu().numpy()
    return found


def descending(numbers: Floats) -> Order:
    """The order of positions of each row, the largest number first, equals from the first on."""
    return np.argsort(-numbers, axis=1, kind="stable")
