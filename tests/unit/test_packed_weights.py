"""Packed weights come back as they were, to three digits."""

from __future__ import annotations

import json

import numpy as np
import pytest

from regard.errors import DataError
from regard.packed_weights import pack, pack_json, unpack


def test_weights_come_back_from_bytes_and_from_json() -> None:
    weights = np.random.default_rng(1).dirichlet(np.ones(42), size=3).reshape(3, 6, 7)
    for back in (unpack(pack(weights), (3, 6, 7)), unpack(*json.loads(json.dumps(pack_json(weights))).values())):
        assert (back.dtype, back.shape) == (np.float32, (3, 6, 7))
        np.testing.assert_allclose(back, weights, rtol=1e-3, atol=1e-7)
        np.testing.assert_allclose(back.sum(axis=(1, 2)), 1, atol=2e-3)
    assert pack([[0.0, 1.0]]) == b"\0\0\0\x3c"
    assert unpack(b"", (0, 0, 0)).shape == (0, 0, 0)


@pytest.mark.parametrize("packed", ["AAA", b"\0\0\0", "not base64!"])
def test_what_is_not_packed_weights_is_one_error(packed: str | bytes) -> None:
    with pytest.raises(DataError, match="packed weights: "):
        unpack(packed, (2, 1))
