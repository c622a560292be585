"""The side of a peer: reads one request a line, does the work, answers with the seconds it took, one JSON line each.

Runs in the environment of the peers, so it needs nothing of this package. Answers go through a channel of their own,
whose number stands behind the name of the job file: what a package prints does not get between them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any


def serve(works: Mapping[str, Callable[[], Mapping[str, Any] | None]], *, versions: Mapping[str, str]) -> None:
    """Answer until the requests end.

    Args:
        works: what can be asked for; what a work returns is part of its answer.
        versions: of the packages that do it, told at the start.
    """
    with os.fdopen(int(sys.argv[2]), "w") as answers:
        print(json.dumps(versions), file=answers, flush=True)
        for request in sys.stdin:
            began = time.perf_counter()
            found = works[request.strip()]()
            seconds = time.perf_counter() - began
            print(json.dumps({**(found or {}), "seconds": seconds}), file=answers, flush=True)
