"""What a service may be told at its start. Every limit is here, each with a default that is safe."""

from __future__ import annotations

import os

from pydantic import Field

from regard.config import Settings

ANY_HOST = "*"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Limits(Settings):
    """What one request, and all of them together, may ask for. What exceeds a limit is refused with a 4xx."""

    image_bytes: int = Field(20_000_000, ge=1, le=10**10)
    """Size of an image file."""
    image_pixels: int = Field(50_000_000, ge=1, le=10**9)
    """Width times height of an image, as its header has it; nothing larger is decoded."""
    text_characters: int = Field(5_000, ge=1, le=100_000)
    """Length of a text to translate, and of a prefix."""
    beam: int = Field(20, ge=1, le=256)
    """Hypotheses, samples, alternatives and next words."""
    words: int = Field(100, ge=1, le=4000)
    """``max_length`` of a search."""
    waiting: int = Field(64, ge=1, le=100_000)
    """Requests that wait for a model process; more are answered 429."""
    pending_bytes: int = Field(256_000_000, ge=1, le=10**12)
    """Bodies of all requests that are being read or wait."""
    connections: int = Field(1_000, ge=1, le=10**6)
    """Open connections; more are answered 503."""
    read_seconds: float = Field(15.0, gt=0, le=86_400)
    """Time for a client to send its request, and to take each part of a response; then it is cut off."""
    idle_seconds: float = Field(10.0, gt=0, le=86_400)
    """Time that a connection without a request stays open."""
    wait_seconds: float = Field(30.0, gt=0, le=86_400)
    """Time that a request may wait before it is computed; then it is answered 503."""
    compute_seconds: float = Field(60.0, gt=0, le=86_400)
    """Time for one batch; then its process is ended and started again."""
    stop_seconds: float = Field(30.0, gt=0, le=86_400)
    """Time for accepted requests to finish after SIGTERM."""


class ServeSettings(Settings):
    """A service."""

    models: tuple[str, ...] = ()
    """Names or folders of models; none for the default captioner and all translators that ship. The first captioner is
    the default one; translators are found by their languages."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(8000, ge=0, le=65535)
    """0 takes a free one."""
    hosts: tuple[str, ...] = ()
    """Names under which the service may be asked for besides its own address; ``*`` for any."""
    origins: tuple[str, ...] = ()
    """Origins of other pages that may use the service from a browser (CORS)."""
    keys: tuple[str, ...] = Field((), repr=False)
    """API keys, one of which every request under /v1 and /metrics must carry; none for an open service."""
    processes: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=1024)
    """Model processes, best one a core."""
    batch: int = Field(16, ge=1, le=1024)
    """The most requests that are computed together."""
    precision: str = "float32"
    """See :func:`regard.pipeline.load`."""
    limits: Limits = Limits()
