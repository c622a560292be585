"""The three forms in which a saved model keeps its numbers.

``float32``  every number as it is.

``float16``  every floating-point tensor in half precision, which halves the file.

``int8``     every floating-point tensor of two or more dimensions as whole numbers q of 8 bits with one float32 scale
             s per row r (an entry of the first dimension: an output of a linear map or convolution, a word of an
             embedding), symmetric about zero:

                 s_r = max |x_r| / 127        q_r = round(x_r / s_r)        x_r ≈ s_r q_r

             (Krishnamoorthi 2018, §2.1 and §3.1, "symmetric, per channel"). ``x.weight`` holds q and
             ``x.weight.scale`` holds s, [rows]. The other floating-point tensors, such as biases, are kept in float16.

Tensors of whole numbers are kept as they are. Whatever the form, a loaded model computes in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from regard.errors import ModelError

Precision = Literal["float32", "float16", "int8"]

SCALE = ".scale"
LARGEST = 127


def pack(tensors: Mapping[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """Tensors in the form in which a file keeps them.

    Raises:
        ModelError: a number is not finite, or too large for half precision.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            packed[name] = tensor
        elif precision == "int8" and tensor.dim() >= 2:
            packed[name], packed[name + SCALE] = _quantise(tensor.float())
        else:
            packed[name] = tensor.to(torch.float32 if precision == "float32" else torch.float16)
    for name, tensor in packed.items():
        if not _finite(tensor):
            raise ModelError(f"{name} holds a number that {precision} cannot hold", remedy="store it as float32")
    return packed


def unpack(packed: Mapping[str, Tensor], *, origin: str) -> dict[str, Tensor]:
    """The inverse of :func:`pack`, up to rounding; the form is read off the tensors.

    Raises:
        ModelError: a scale is missing or has another shape, or a number is not finite.
    """
    scales = {name + SCALE for name, tensor in packed.items() if tensor.dtype == torch.int8}
    tensors: dict[str, Tensor] = {}
    for name, tensor in packed.items():
        if name in scales:
            continue
        if tensor.dtype == torch.int8:
            tensors[name] = _dequantise(tensor, packed.get(name + SCALE), origin=f"{origin}: {name}")
        else:
            tensors[name] = tensor.float() if tensor.is_floating_point() else tensor
        if not _finite(tensors[name]):
            raise ModelError(f"{origin}: {name} holds a number that is not finite")
    return tensors


def _quantise(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers int8 of the tensor's shape, and scales float32 [rows]."""
    scales = tensor.flatten(1).abs().amax(dim=1) / LARGEST
    # a row of zeros has no scale of its own, and any will do
    scales = torch.where(scales > 0, scales, 1.0)
    return (tensor / _spread(scales, tensor)).round().to(torch.int8), scales


def _dequantise(tensor: Tensor, scales: Tensor | None, *, origin: str) -> Tensor:
    if scales is None or not scales.is_floating_point() or scales.shape != tensor.shape[:1]:
        raise ModelError(f"{origin}: has no scale for each of its rows")
    return tensor.float() * _spread(scales.float(), tensor)


def _spread(scales: Tensor, tensor: Tensor) -> Tensor:
    return scales.view(-1, *[1] * (tensor.dim() - 1))


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())
