"""Results as server-sent events: ``word`` for each word, then ``result``, or ``error`` where it breaks off.

Events are composed of plain data, so that the process that speaks HTTP can add one without the models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def word_events(data: Mapping[str, Any], *, first: int) -> bytes:
    """An event for each word from ``first`` on, with its index, and its weights or its row of the alignment.

    Args:
        data: of a result, or of a result so far.
        first: the index of the first word.
    """
    words = [{"index": index, **word} for index, word in enumerate(data["words"])]
    for word, row in zip(words, data.get("alignment", ()), strict=False):
        word["alignment"] = row
    return b"".join(event("word", _without_evidence(word)) for word in words[first:])


def event(name: str, data: Mapping[str, Any]) -> bytes:
    """One event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _without_evidence(word: Mapping[str, Any]) -> dict[str, Any]:
    """The word without its evidence, which depends on the whole text."""
    return {name: value for name, value in word.items() if name != "evidence"}
