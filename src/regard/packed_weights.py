"""Attention weights as few bytes: float16, little-endian, row by row; in JSON as base64.

A map of 14 × 14 takes 392 bytes, 524 letters of base64, in place of some 2,500 letters of decimal numbers. A weight
keeps three digits, so that the weights of a map sum to 1 within 0.002.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from regard.errors import DataError

_FLOAT16 = np.dtype("<f2")


def pack(weights: npt.ArrayLike) -> bytes:
    """Weights of any shape as float16, the last index fastest."""
    return np.ascontiguousarray(weights, dtype=_FLOAT16).tobytes()


def pack_json(weights: npt.ArrayLike) -> dict[str, Any]:
    """Weights as JSON holds them: ``float16``, base64 of :func:`pack`, and their ``shape``."""
    return {"float16": base64.b64encode(pack(weights)).decode("ascii"), "shape": list(np.shape(weights))}


def unpack(packed: str | bytes, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """The weights that were packed, float32 of ``shape``.

    Args:
        packed: the bytes, as a Parquet file has them, or their base64, as JSON has it.
        shape: of a word ``[rows, columns]``; of all words of a caption ``[words, rows, columns]``.

    Raises:
        DataError: these are no packed weights of this shape.
    """
    try:
        numbers = base64.b64decode(packed, validate=True) if isinstance(packed, str) else packed
    except binascii.Error as error:
        raise DataError(f"packed weights: are no base64 ({error})") from None
    if len(numbers) != math.prod(shape) * _FLOAT16.itemsize:
        raise DataError(f"packed weights: {len(numbers)} bytes are no float16 of shape {list(shape)}")
    return np.frombuffer(numbers, _FLOAT16).reshape(shape).astype(np.float32)
