"""Symmetric int8 quantisation, one scale per row: x ≈ s q.

    s_r = max |x_r| / 127        q_r = round(x_r / s_r)

(Krishnamoorthi 2018, §2.1 and §3.1, "symmetric, per channel".) Used for products in int8 and for storage in int8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int

LARGEST = 127


def quantize_rows(rows: Float[Tensor, "rows columns"]) -> tuple[Int[Tensor, "rows columns"], Float[Tensor, "rows 1"]]:
    """int8 [rows, columns] and the scale of each row [rows, 1], of a float tensor [rows, columns]."""
    # a row of zeros has no scale of its own, and any will do
    scales = rows.abs().amax(dim=1, keepdim=True).div_(LARGEST).clamp_min_(torch.finfo(rows.dtype).tiny)
    return (rows / scales).round_().to(torch.int8), scales
