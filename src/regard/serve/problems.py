"""How the service refuses: one JSON shape, a status and a stable code for everything that can go wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regard.errors import ConfigError, ImageError, ModelError, RegardError, TextError

CODES: Mapping[str, tuple[int, str]] = {
    "invalid_request": (422, "A parameter or the body cannot be used."),
    "invalid_option": (422, "Options of the search contradict each other or the model."),
    "image_unreadable": (422, "The image is empty, damaged, too large or no image."),
    "text_unusable": (422, "The text cannot be encoded, or the model does not know a word of the prefix."),
    "key_missing": (401, "An API key is needed: Authorization: Bearer KEY."),
    "key_unknown": (401, "The API key is not known here."),
    "foreign_origin": (403, "The request comes from a page of another origin."),
    "not_found": (404, "There is nothing at this address."),
    "model_unknown": (404, "No such model was named when the service was started."),
    "method_not_allowed": (405, "The address does not take this method."),
    "too_slow": (408, "The request took too long to arrive."),
    "too_large": (413, "The body is larger than allowed."),
    "unsupported_type": (415, "The body is of a type that is not taken."),
    "unknown_host": (421, "The service is not known under this host name."),
    "busy": (429, "More requests wait than allowed; try again later."),
    "internal": (500, "A defect of the service."),
    "process_ended": (503, "The model process ended while it worked on the request; it is started again."),
    "timed_out": (503, "The request waited or was computed for longer than allowed."),
    "stopping": (503, "The service is being stopped."),
}
"""Every code with its HTTP status and what it means. Codes stay; statuses and words may change."""

_ERROR_CODES: tuple[tuple[type[RegardError], str], ...] = (
    (ImageError, "image_unreadable"),
    (TextError, "text_unusable"),
    (ModelError, "model_unknown"),
    (ConfigError, "invalid_option"),
)


@dataclass(eq=False)
class Problem(Exception):
    """A request that is refused.

    Attributes:
        code: one of :data:`CODES`.
        message: what was given and why it cannot be used.
        allowed, remedy: as in :class:`regard.errors.RegardError`.
        retry_after: seconds after which to try again; None where that would not help.
    """

    code: str
    message: str = ""
    allowed: str = ""
    remedy: str = ""
    retry_after: int | None = None

    def __post_init__(self) -> None:
        assert self.code in CODES, f"{self.code!r} is a code of this service"

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CODES[self.code][0]

    def to_dict(self) -> dict[str, Any]:
        """The body of the response."""
        message = self.message or CODES[self.code][1]
        return {"error": {"code": self.code, "message": message, "allowed": self.allowed, "remedy": self.remedy}}

    def body(self) -> bytes:
        """The body of the response as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False).encode("utf-8", "replace")

    def headers(self) -> dict[str, str]:
        """Headers that belong to the status."""
        headers = {"content-type": "application/json"}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return headers

    @classmethod
    def of(cls, error: RegardError) -> Problem:
        """The problem that an error of the pipeline is."""
        code = next((code for kind, code in _ERROR_CODES if isinstance(error, kind)), "internal")
        if code == "internal":
            return cls(code)
        return cls(code, " ".join(error.given.split()), error.allowed, error.remedy)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Problem:
        """The problem that :meth:`to_dict` tells of."""
        return cls(**values["error"])
