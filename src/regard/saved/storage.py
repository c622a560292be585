"""The three dtypes in which a saved model stores its weights.

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

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from regard.errors import ModelError
from regard.files import MAX_BYTES, check_regular
from regard.ops.quantization import quantize_rows
from regard.saved.tensors import check_names

Precision = Literal["float32", "float16", "int8"]

SCALE = ".scale"


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


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ModelError: it is missing, no regular file, too large or damaged.
    """
    with _one_error(path):
        return load_file(path)


def check_headers(path: Path, expected: Mapping[str, Tensor]) -> None:
    """Compare what a file says that it holds with what a model needs, before anything of that size is built.

    Args:
        path: a safetensors file, as :func:`pack` fills one.
        expected: the tensors of the model by name, of which the shapes and kinds count; they may be on the device meta.

    Raises:
        ModelError: a tensor is missing, unknown, of another shape, or holds whole numbers in place of real ones or the
            other way round.
    """
    with _one_error(path), safe_open(path, framework="pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        found = {name: (tuple(each.get_shape()), str(each.get_dtype())) for name, each in slices.items()}
    scales = {name + SCALE for name, (_, kind) in found.items() if kind == "I8" and name + SCALE in found}
    check_names(expected.keys(), found.keys() - scales, origin=str(path))
    for name, tensor in expected.items():
        shape, kind = found[name]
        if shape != tuple(tensor.shape):
            raise ModelError(f"{path}: the shape of {name} is {shape}, the model's {tuple(tensor.shape)}")
        real = kind.startswith(("F", "BF")) or name + SCALE in scales
        if real != tensor.is_floating_point():
            raise ModelError(f"{path}: {name} holds {kind} numbers", allowed="whole ones" if real else "real ones")


@contextmanager
def _one_error(path: Path) -> Iterator[None]:
    """Turn what a damaged safetensors file raises into one error about it."""
    check_regular(path, most=MAX_BYTES)
    try:
        yield
    except (OSError, SafetensorError, ValueError, TypeError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{path}: is damaged or no safetensors file ({reason:.120})") from None


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
    quantized, scales = quantize_rows(tensor.flatten(1))
    return quantized.view_as(tensor), scales.squeeze(1)


def _dequantise(tensor: Tensor, scales: Tensor | None, *, origin: str) -> Tensor:
    if scales is None or not scales.is_floating_point() or scales.shape != tensor.shape[:1]:
        raise ModelError(f"{origin}: has no scale for each of its rows")
    return tensor.float() * _spread(scales.float(), tensor)


def _spread(scales: Tensor, tensor: Tensor) -> Tensor:
    return scales.view(-1, *[1] * (tensor.dim() - 1))


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())
