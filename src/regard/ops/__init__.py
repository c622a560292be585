"""Fused paths, each equal to a plain one.

``REGARD_REFERENCE=1`` in the environment switches every fused path off; the test suite passes both ways.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_PLAIN = ContextVar("_PLAIN", default=False)


def use_reference() -> bool:
    """Whether the plain paths were asked for. Read at every call, so that a test can switch in one process."""
    return _PLAIN.get() or os.environ.get("REGARD_REFERENCE", "") not in ("", "0")


def steps_plainly(device: torch.device) -> bool:
    """Whether a pass over time is to be a loop over plain steps: where that was asked for, and on a GPU, where the
    fused passes, which are written for the processor's cache, gain nothing and Triton's kernel looks instead."""
    return use_reference() or device.type != "cpu"


@contextmanager
def plain_paths() -> Iterator[None]:
    """No fused path is taken inside, in this thread; for what has to follow every operation."""
    token = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(token)
