"""What training does differently on a GPU: numeric precision, copies to the device, random numbers.

On the processor a phase in bfloat16 takes all products in it but those of the encoder of pictures, which stay in
float32: its depthwise convolutions have a backward pass in bfloat16 that is ten times slower there. On a GPU it is the
other way round: the encoder of pictures runs in bfloat16 (or float16), and all other products are taken in TF32
(float32 with a mantissa of 10 bits, more than the 7 of bfloat16), because they are so small that a conversion costs as
much as a product.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from regard.errors import ConfigError

TrainingPrecision = Literal["float32", "bfloat16", "float16"]


def check_precision(precision: TrainingPrecision, device: torch.device) -> None:
    """Refuse a precision that the device does not train in.

    Raises:
        ConfigError: it is float16, whose losses are scaled for the range of numbers of GPUs alone.
    """
    if precision == "float16" and device.type != "cuda":
        raise ConfigError(
            f"a phase in float16 cannot train on {device.type}",
            allowed="float32, bfloat16",
            remedy="set its precision, or give --device cuda",
        )


def encoder_autocast(device: torch.device, precision: TrainingPrecision) -> torch.autocast:
    """The precision of the encoder of pictures in a phase of this precision."""
    dtype = torch.float16 if precision == "float16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=device.type != "cpu" and precision != "float32")


def decoder_autocast(device: torch.device, precision: TrainingPrecision) -> torch.autocast:
    """The precision of all other products."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cpu" and precision == "bfloat16")


@contextmanager
def gpu_settings(device: torch.device, precision: TrainingPrecision) -> Iterator[None]:
    """TF32 where a phase on a GPU allows it."""
    if device.type != "cuda":
        yield
        return
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = precision != "float32"
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor in the processor's memory on ``device``; to a GPU from pinned memory, without waiting for the copy."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
