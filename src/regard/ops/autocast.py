"""In which types of number a fused pass calculates."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Precision(NamedTuple):
    """``products`` are taken in one type of number; states, sums and what is added over time are kept in another."""

    products: torch.dtype
    sums: torch.dtype


def current_precision(parameter: Tensor) -> Precision:
    """That of autocast where it is on, else that of the parameters; sums are float32 unless parameters are float64."""
    device, own = parameter.device.type, parameter.dtype
    products = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else own
    return Precision(products, own if own == torch.float64 else torch.float32)
