"""The optimizer of a phase and its learning rates: AdamW, linear warm-up, then a schedule."""

from __future__ import annotations

import math

import torch

from regard.encoders.image import ImageEncoder
from regard.model import EncoderDecoder
from regard.training.recipe import OptimSettings

WARMUP_SHARE = 0.2
"""How much of the steps of a phase warm-up may take at most; a longer one would never reach the full rate."""


def build_optimizer(model: EncoderDecoder, settings: OptimSettings) -> torch.optim.Optimizer:
    """AdamW for what learns, the encoder at a share of the rate."""
    encoder = [parameter for parameter in model.encoder.parameters() if parameter.requires_grad]
    inside = {id(parameter) for parameter in encoder}
    rest = [parameter for parameter in model.parameters() if parameter.requires_grad and id(parameter) not in inside]
    groups = [{"params": rest, "share": 1.0}]
    if encoder:
        groups.append({"params": encoder, "share": encoder_rate(model, settings) / settings.lr})
    betas = (settings.betas[0], settings.betas[1])
    return torch.optim.AdamW(groups, lr=settings.lr, betas=betas, weight_decay=settings.weight_decay, fused=True)


def encoder_rate(model: EncoderDecoder, settings: OptimSettings) -> float:
    """The full learning rate of the encoder."""
    if settings.encoder_lr is not None:
        return settings.encoder_lr
    return 0.0 if isinstance(model.encoder, ImageEncoder) else settings.lr


def set_rates(optimizer: torch.optim.Optimizer, settings: OptimSettings, *, step: int, total: int) -> None:
    """Set the learning rates of a step, of ``total`` in the phase."""
    rate = settings.lr * rate_factor(settings, step=step, total=total)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]


def rate_factor(settings: OptimSettings, *, step: int, total: int) -> float:
    """The share of the full learning rate at a step, of ``total`` in the phase."""
    warmup = warmup_steps(settings, total)
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    match settings.schedule:
        case "constant":
            return rise
        case "cosine":
            return rise * 0.5 * (1 + math.cos(math.pi * step / total))
        case "inverse_sqrt":
            return rise * math.sqrt(max(1, warmup) / max(step + 1, warmup, 1))


def warmup_steps(settings: OptimSettings, total: int) -> int:
    """Steps from 0 to the full rate: as the recipe says, but never more than :data:`WARMUP_SHARE` of all."""
    return min(settings.warmup, int(WARMUP_SHARE * total))
