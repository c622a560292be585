"""The optional packages behind this part, imported when they are first needed."""

from __future__ import annotations

import importlib
import os
from typing import Any

from regard.errors import DependencyError

EXTRA = "onnx"


def package(name: str, *, purpose: str) -> Any:
    """The package called ``name``.

    Raises:
        DependencyError: it is not installed.
    """
    # ONNX Runtime reads this when it is loaded, and would look up a server and keep an identifier of the machine
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        return importlib.import_module(name)
    except ImportError:
        raise DependencyError(name, extra=EXTRA, purpose=purpose) from None
