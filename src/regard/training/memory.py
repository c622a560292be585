"""A lower bound of the memory that a run takes, computed before anything of that size is built."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regard.encoders.image import ImageEncoderSettings
from regard.errors import ConfigError, OutOfMemory, is_out_of_memory
from regard.model import EncoderDecoder
from regard.saved.tensors import shapes_only
from regard.training.recipe import CaptionData, Phase, Recipe

BYTES = 4
"""Of a number in float32."""
MOMENTS = 2
"""What AdamW keeps for each weight."""
_MEMORY = Path("/proc/meminfo")


def check_memory(recipe: Recipe, *, writes: int, reads: int) -> None:
    """Refuse a recipe that cannot be trained on this machine's processor.

    Args:
        recipe: what is to be trained.
        writes, reads: sizes of the vocabularies of the decoder and of the encoder, 0 for pictures.

    Raises:
        ConfigError: it takes more memory than is free; or parts whose sizes do not fit together.
    """
    needed, free = least_bytes(recipe, writes=writes, reads=reads), free_bytes()
    if free is not None and needed > free:
        raise ConfigError(
            f"training takes {needed / 1e9:,.1f} GB of memory at least, and {free / 1e9:,.1f} GB are free",
            remedy="lower the sizes of the model, or phases.0.batch or .tokens",
        )


@contextmanager
def naming_what_to_lower(number: int, phase: Phase) -> Iterator[None]:
    """Say which setting of a phase to lower where memory does not suffice for it.

    Raises:
        OutOfMemory: it does not.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        name = "batch" if phase.tokens is None else "tokens"
        key, size = f"phases.{number}.{name}", phase.batch if phase.tokens is None else phase.tokens
        raise OutOfMemory(
            "training takes more memory than is free",
            remedy=f"lower {key} ({size}), such as --set {key}={max(1, size // 2)}, in another --output",
        ) from None


def least_bytes(recipe: Recipe, *, writes: int, reads: int) -> int:
    """Weights with their gradients, moments and running average, and the logits of one batch with their gradient."""
    settings = recipe.model
    if isinstance(settings.encoder, ImageEncoderSettings):
        settings = settings.model_copy(update={"encoder": settings.encoder.model_copy(update={"weights": None})})
    with shapes_only():
        model = EncoderDecoder(settings, vocabulary_size=writes, source_vocabulary_size=reads)
    learned = sum(each.numel() for each in model.parameters() if each.requires_grad)
    kept = sum(each.numel() for each in model.parameters())
    averages = any(phase.average for phase in recipe.phases)
    logits = 2 * writes * max(_fewest_tokens(recipe, phase) for phase in recipe.phases)
    return BYTES * (kept + learned * (1 + MOMENTS) + kept * averages + logits)


def _fewest_tokens(recipe: Recipe, phase: Phase) -> int:
    """How many tokens a batch writes at least: of captions three words each, of sentences one."""
    if isinstance(recipe.data, CaptionData):
        tokens = 3 * min(phase.batch, _SMALL_DATA)
    else:
        tokens = min(phase.batch, _SMALL_DATA) if phase.tokens is None else min(phase.tokens, _SMALL_DATA) // 2
    return tokens // phase.accumulate


_SMALL_DATA = 5_000
"""A batch is no larger than the data, and nobody has said how large these are."""


def free_bytes() -> int | None:
    """The memory that is free; None where the system does not say."""
    try:
        lines = _MEMORY.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    sizes = {name: value.split()[0] for name, _, value in (line.partition(":") for line in lines)}
    return int(sizes["MemAvailable"]) * 1024 if "MemAvailable" in sizes else None
