"""Fused paths, each equal to a plain one.

``REGARD_REFERENCE=1`` in the environment switches every fused path off; the test suite passes both ways.
"""

from __future__ import annotations

import os


def use_reference() -> bool:
    """Whether the plain paths were asked for. Read at every call, so that a test can switch in one process."""
    return os.environ.get("REGARD_REFERENCE", "") not in ("", "0")
