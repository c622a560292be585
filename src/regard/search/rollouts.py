"""Random captions for self-critical training (Rennie et al. 2017): tokens only, no history, no weights."""

from __future__ import annotations

import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.decoders.base import Decoder
from regard.fast import for_sampling
from regard.search.active import worth_leaving
from regard.search.options import SpecialTokens
from regard.search.sampling import draw


def sample_captions(
    decoder: Decoder,
    annotations: Annotations,
    rows: int,
    *,
    tokens: SpecialTokens,
    max_length: int,
    generator: torch.Generator,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Draw ``rows`` captions of each input from the decoder's own distribution.

    Args:
        decoder: in evaluation mode.
        annotations: a batch of inputs.
        rows: captions per input.
        tokens: begin, end and the tokens that are never said.
        max_length: the most tokens, the end included.
        generator: where the random numbers come from; the same state gives the same captions on one kind of device.
        temperature: what logits are divided by.

    Returns:
        int64 [batch, rows, time]: the tokens with their end, 0 behind it; ``time`` is that of the longest caption.
        int64 [batch, rows]: how many tokens of each row are real, the end included. A caption without an end has
        ``max_length``.
    """
    assert not decoder.training, "sampling needs the decoder in evaluation mode"
    batch, device = len(annotations), annotations.values.device
    said = torch.zeros(batch, rows, max_length, dtype=torch.long, device=device)
    lengths = torch.full((batch, rows), max_length, device=device)
    running = torch.ones(batch, rows, dtype=torch.bool, device=device)
    inputs = torch.arange(batch, device=device)
    last = torch.full((batch, rows), tokens.bos, device=device)
    with torch.inference_mode():
        impossible = torch.tensor(tokens.forbidden, dtype=torch.long, device=device)
        stepper = for_sampling(decoder)
        state = stepper.start(annotations, rows=rows)
        for t in range(max_length):
            step = stepper.step(state, last)
            scores = (step.logits / temperature).index_fill_(-1, impossible, float("-inf"))
            # numbers for the whole batch, so that those of an input do not depend on who has left
            last = draw(
                scores, torch.rand(batch, rows, generator=generator, device=generator.device).to(device)[inputs]
            )
            said[inputs, :, t] = torch.where(running, last, 0)
            lengths[inputs] = torch.where(running & (last == tokens.eos), t + 1, lengths[inputs])
            running = running & (last != tokens.eos)
            state = step.state
            staying = worth_leaving(~running.any(dim=1))
            if staying is not None:
                inputs, last, running, state = inputs[staying], last[staying], running[staying], state.select(staying)
            if not len(inputs):
                break
    return said[..., : int(lengths.amax())], lengths
