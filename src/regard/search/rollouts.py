"""Rollouts: random captions for self-critical training (Rennie et al. 2017), without weights or ranking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.decoders.base import Decoder
from regard.fast import for_sampling
from regard.search.active import ActiveHypotheses, Choice
from regard.search.constraints import ForbiddenTokens
from regard.search.loop import decode
from regard.search.options import SpecialTokens
from regard.search.sampling import sample_index
from regard.search.step_scores import StepScores
from regard.search.strategies import Strategy, continue_every_row

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def sample_captions(
    decoder: Decoder,
    annotations: Annotations,
    rows: int,
    *,
    tokens: SpecialTokens,
    max_length: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    within: tuple[Sequence[int], int] | None = None,
) -> tuple[Int[Tensor, "batch rows time"], Int[Tensor, "batch rows"]]:
    """Draw ``rows`` captions of each input from the decoder's own distribution.

    Args:
        decoder: in evaluation mode.
        annotations: a batch of inputs.
        rows: captions per input.
        tokens: begin, end and the tokens that are never possible.
        max_length: the most tokens, the end included.
        generator: where the random numbers come from; the same state gives the same captions on one kind of device.
        temperature: what logits are divided by.
        within: where the inputs stand in a larger batch, and its size; they get the captions that they have there.

    Returns:
        int64 [batch, rows, time]: the tokens with their end, 0 behind it; ``time`` is that of the longest caption.
        int64 [batch, rows]: how many tokens of each row are real, the end included. A caption without an end has
        ``max_length``.
    """
    assert not decoder.training, "sampling needs the decoder in evaluation mode"
    batch, device = len(annotations), annotations.values.device
    captions = torch.zeros(batch, rows, max_length, dtype=torch.long, device=device)
    lengths = torch.full((batch, rows), max_length, device=device)
    positions, batch_size = (range(batch), batch) if within is None else within
    draw = _Uniform(positions, batch_size, rows, generator)
    strategy = _Rollouts(captions, lengths, eos=tokens.eos, draw=draw, temperature=temperature)
    constraints = [ForbiddenTokens(tokens.forbidden, device=device)]
    with torch.inference_mode():
        decode(for_sampling(decoder), annotations, strategy, constraints, tokens=tokens, max_length=max_length)
    return captions[..., : int(lengths.amax())], lengths


class _Uniform:
    """Uniform numbers [position, row], drawn for a whole batch, so that those of an input are its own."""

    def __init__(self, positions: Sequence[int], batch_size: int, rows: int, generator: torch.Generator) -> None:
        self._positions = torch.tensor(list(positions), device=generator.device)
        self._shape, self._generator = (batch_size, rows), generator

    def __call__(self) -> Tensor:
        """Of one step."""
        return torch.rand(self._shape, generator=self._generator, device=self._generator.device)[self._positions]


class _Rollouts(Strategy):
    """One random continuation of every row, written to ``captions`` and ``lengths``."""

    def __init__(
        self, captions: Tensor, lengths: Tensor, *, eos: int, draw: Callable[[], Tensor], temperature: float
    ) -> None:
        self._captions, self._lengths, self._eos = captions, lengths, eos
        self._draw, self._temperature = draw, temperature
        self.first_rows = captions.shape[1]

    def choose(self, scores: StepScores, active: ActiveHypotheses) -> Choice:
        # numbers for all inputs, so that those of one do not depend on which others are done
        of_rows = scores.gather_active(self._draw().to(self._captions.device)[active.inputs])
        return continue_every_row(scores, active, sample_index(scores.values / self._temperature, of_rows))

    def record(self, before: ActiveHypotheses, choice: Choice, weights: Float[Tensor, "batch rows position"]) -> None:
        inputs, step, running = before.inputs, before.step, before.is_active
        self._captions[inputs, :, step] = torch.where(running, choice.tokens, 0)
        ended = running & (choice.tokens == self._eos)
        self._lengths[inputs] = torch.where(ended, step + 1, self._lengths[inputs])

    def done(self, active: ActiveHypotheses) -> Bool[Tensor, " batch"]:
        return ~active.is_active.any(dim=1)
