"""The process that listens: it accepts connections, drains on SIGTERM, and closes connections without a request."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Protocol

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from regard.errors import ConfigError
from regard.serve.protection import App, bracketed
from regard.serve.settings import Limits, ServeSettings

REFUSING_SECONDS = 0.5
"""How long new work is refused by name after SIGTERM, before connections are closed."""


def listen(settings: ServeSettings) -> socket.socket:
    """A socket at the address of the service.

    Raises:
        ConfigError: the address cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        where, why = f"{bracketed(settings.host)}:{settings.port}", os.strerror(error.errno or errno.EINVAL)
        raise ConfigError(
            f"{where} cannot be listened on ({why})", remedy="choose another --port, or 0 for a free one"
        ) from None


def address(listening: socket.socket) -> str:
    """The URL of a socket that listens."""
    host, port = listening.getsockname()[:2]
    return f"http://{bracketed(host)}:{port}/"


class Work(Protocol):
    """What is behind an application."""

    async def start(self) -> None:
        """Start, and return when work can be taken."""

    async def stop(self) -> None:
        """End, whatever is under way."""

    def refuse(self) -> None:
        """Take no new work from now on."""


def run(app: App, work: Work, settings: ServeSettings, listening: socket.socket, *, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        app: what is served.
        work: what is behind it.
        settings: of the service.
        listening: from :func:`listen`.
        ready: called when requests are accepted.

    Raises:
        RegardError: what starting the work raises.
    """
    server = _Server(_config(app, settings.limits), ready=ready, refuse=work.refuse)

    async def serve() -> None:
        try:
            await work.start()
            await server.serve(sockets=[listening])
        finally:
            await work.stop()

    with listening:
        asyncio.run(serve())


def _config(app: App, limits: Limits) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_protocol(limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=max(1, round(limits.idle_seconds)),
        timeout_graceful_shutdown=max(1, round(limits.stop_seconds)),
    )


class _Server(uvicorn.Server):
    """Stops in two steps: it refuses new work first, and closes connections a moment later."""

    def __init__(self, config: uvicorn.Config, *, ready: Callable[[], None], refuse: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._refuse = refuse

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._on_signal, loop)
        try:
            yield
        finally:
            for each in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(each)

    def _on_signal(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop gracefully, at the second signal at once."""
        if self.should_exit:
            self.force_exit = True
        self._refuse()
        loop.call_later(REFUSING_SECONDS, setattr, self, "should_exit", True)


def _protocol(limits: Limits) -> type[H11Protocol]:
    class TimedProtocol(H11Protocol):
        """Closes a connection whose next request does not begin and arrive in time."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._deadline = self.loop.call_later(limits.read_seconds, self._cut_off)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._waits_for_request():
                if self._deadline.cancelled():
                    self._deadline = self.loop.call_later(limits.read_seconds, self._cut_off)
            else:
                self._deadline.cancel()

        def connection_lost(self, exc: Exception | None) -> None:
            self._deadline.cancel()
            super().connection_lost(exc)

        def _waits_for_request(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _cut_off(self) -> None:
            if self._waits_for_request() and not self.transport.is_closing():
                self.transport.close()

    return TimedProtocol
