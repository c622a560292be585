"""The dtypes of a fused pass under autocast."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class ScanDtypes(NamedTuple):
    """``products``: the dtype of matrix products; ``sums``: that of states, sums and what accumulates over time."""

    products: torch.dtype
    sums: torch.dtype


def scan_dtypes(parameter: Tensor) -> ScanDtypes:
    """Products as under autocast where it is on, else as the parameters; sums in float32, or float64 as parameters."""
    device, own = parameter.device.type, parameter.dtype
    products = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else own
    return ScanDtypes(products, own if own == torch.float64 else torch.float32)
