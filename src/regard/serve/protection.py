"""What every request passes before a route sees it, and the headers of every response.

An ASGI application around another. Bodies are read here, whole, within limits of size and time, so that no route waits
for a slow client; sending is timed too. It knows nothing of what is served.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from regard.serve.metrics import Metrics
from regard.serve.problems import Problem
from regard.serve.queue import RETRY_SECONDS
from regard.serve.settings import ANY_HOST, LOOPBACK_NAMES, ServeSettings

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy: only what the service itself sends, no inline script or style, no frames."""
RESULT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
"""That of a result as a page, which carries its own and must not act in the name of the service."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "cache-control": "no-cache",
}
COUNTED_PATHS = frozenset(
    f"/{path}"
    for path in (
        *("v1/caption", "v1/translate", "v1/inspect", "v1/explain", "v1/explain/translation", "v1/models"),
        *("healthz", "readyz", "metrics", ""),
    )
)
KEYED_PATHS = ("/v1/", "/metrics")
"""What needs a key where the service has keys."""


class Protection:
    """An ASGI application that checks requests before it passes them on, and completes the headers of responses.

    Args:
        app: what is protected.
        settings: of the service.
        metrics: what is counted.
    """

    def __init__(self, app: App, settings: ServeSettings, metrics: Metrics) -> None:
        self._app = app
        self._limits = settings.limits
        self._metrics = metrics
        self._hosts = known_hosts(settings)
        self._origins = frozenset(settings.origins)
        self._keys = [_digest(key) for key in settings.keys]
        self._pending_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        response = _Response(scope, send, self._limits.read_seconds)
        began = time.monotonic()
        try:
            await self._admit(scope, receive, response)
        except Problem as problem:
            await response.refuse(problem)
        except _ClientGone:
            return
        finally:
            self._metrics.seconds.observe(time.monotonic() - began)
            self._metrics.requests[route_name(scope["path"]), response.status] += 1

    async def _admit(self, scope: Scope, receive: Receive, response: _Response) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self._check_host(headers.get("host", ""))
        self._check_origin(headers)
        self._check_key(scope["path"], headers.get("authorization", ""))
        body = await self._read_body(receive, headers.get("content-length", ""))
        try:
            await self._app(scope, _replay(body, receive), response.send)
        finally:
            self._pending_bytes -= len(body)

    def _check_host(self, host: str) -> None:
        """Refuse a name that a foreign page could have made to point here (DNS rebinding)."""
        if ANY_HOST not in self._hosts and _host_name(host) not in self._hosts:
            raise Problem("unknown_host", remedy="start it with --allow-host NAME")

    def _check_origin(self, headers: dict[str, str]) -> None:
        """Refuse what a page of another origin sends."""
        origin = headers.get("origin")
        if origin is None or origin in self._origins:
            return
        if urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
            raise Problem("foreign_origin", remedy="start it with --allow-origin ORIGIN")

    def _check_key(self, path: str, authorization: str) -> None:
        if not self._keys or not path.startswith(KEYED_PATHS):
            return
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Problem("key_missing")
        given = _digest(key.strip())
        # every key is compared, and whole, so that time tells nothing
        if not sum(hmac.compare_digest(given, known) for known in self._keys):
            raise Problem("key_unknown")

    async def _read_body(self, receive: Receive, content_length: str) -> bytes:
        limits = self._limits
        if content_length.isdecimal() and int(content_length) > limits.image_bytes:
            raise _too_large(limits.image_bytes)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(limits.read_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _ClientGone
                    part: bytes = message.get("body", b"")
                    parts.append(part)
                    size += len(part)
                    self._pending_bytes += len(part)
                    if size > limits.image_bytes:
                        raise _too_large(limits.image_bytes)
                    if self._pending_bytes > limits.pending_bytes:
                        raise Problem("busy", retry_after=RETRY_SECONDS)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            self._pending_bytes -= size
            raise Problem("too_slow", allowed=f"{limits.read_seconds:g} seconds") from None
        except (Problem, _ClientGone):
            self._pending_bytes -= size
            raise


class _ClientGone(Exception):
    """The client has closed the connection."""


class _Response:
    """Sends a response with the headers that all have, within the time that a client may take for each part."""

    def __init__(self, scope: Scope, send: Send, seconds: float) -> None:
        self.status = 499
        self._send = send
        self._seconds = seconds
        self._started = False
        self._head = scope["method"] == "HEAD"

    async def send(self, message: Message) -> None:
        """Pass a message on.

        Raises:
            _ClientGone: it is not taken in time.
        """
        if message["type"] == "http.response.start":
            self._started, self.status = True, message["status"]
            message["headers"] = with_headers(message.get("headers", ()))
        try:
            async with asyncio.timeout(self._seconds):
                await self._send(message)
        except TimeoutError:
            raise _ClientGone from None

    async def refuse(self, problem: Problem) -> None:
        """Send a problem, where no response has begun."""
        if self._started:
            return
        body = problem.body()
        headers = {**problem.headers(), "content-length": str(len(body))}
        if problem.code in ("too_large", "too_slow", "stopping"):
            headers["connection"] = "close"
        pairs = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": b"" if self._head else body})


def with_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of a response with those that all responses have, unless it has its own."""
    own = list(headers)
    names = {name.lower() for name, _ in own}
    html = any(name.lower() == b"x-regard-result" for name, _ in own)
    policy = {"content-security-policy": RESULT_POLICY if html else POLICY}
    more = {name: value for name, value in {**HEADERS, **policy}.items() if name.encode() not in names}
    return [*own, *((name.encode(), value.encode()) for name, value in more.items())]


def known_hosts(settings: ServeSettings) -> frozenset[str]:
    """The names under which the service may be asked for: its address, this machine's own, and those it was told."""
    return frozenset(name.lower() for name in (*LOOPBACK_NAMES, bracketed(settings.host), *settings.hosts))


def bracketed(host: str) -> str:
    """An address as it stands in a URL: one of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def route_name(path: str) -> str:
    """A path that is counted by itself; one name for all others, so that counters stay few."""
    return path if path in COUNTED_PATHS else "other"


def _host_name(host: str) -> str:
    """A Host header without its port."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdecimal() else host).lower()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def _too_large(limit: int) -> Problem:
    return Problem("too_large", allowed=f"{limit:,} bytes")


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body as one message; then whatever follows, which is that the client goes."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
