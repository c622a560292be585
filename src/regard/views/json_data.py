"""Results as JSON: one line that programs read, an object for one result and a list for several."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from regard.result_views import Result, View


class JsonData(View):
    """The data of results, as ``--json`` prints them."""

    def render(self, result: Result) -> bytes:
        return json_bytes(result.to_dict())

    def render_together(self, results: Sequence[Result], *, title: str = "") -> bytes:
        return json_bytes([result.to_dict() for result in results])


JSON_DATA = JsonData()


def json_bytes(value: Any) -> bytes:
    """Plain data on one line, in UTF-8; a lone surrogate, which a file name may hold, becomes its JSON escape."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode("utf-8", "backslashreplace")
