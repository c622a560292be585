"""A running service, asked from Python with nothing but the standard library."""

from __future__ import annotations

import http.client
import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from regard.errors import ConfigError, ImageError, RegardError

TOGETHER = 8
"""Photos that are sent at the same time, so that the service can compute them together."""
TIMEOUT_SECONDS = 120
PATIENCE = 30
"""How often a service that is busy is asked again."""

Data = dict[str, Any]


class Client:
    """Asks a service.

    Args:
        url: of the service, such as ``http://127.0.0.1:8000``.
        key: an API key, where the service asks for one.

    Raises:
        ConfigError: the URL is none of HTTP.
    """

    def __init__(self, url: str, *, key: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"the server {url!r}", allowed="a URL such as http://127.0.0.1:8000")
        self._url = url
        self._connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._address, self._path = parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}

    def caption_many(self, paths: Iterable[str], query: Mapping[str, Any]) -> Iterator[Data | ImageError]:
        """Describe photos, in order: the data of each caption, or the error in its place.

        Args:
            paths: of the photos.
            query: the options of ``POST /v1/caption``; those that are None are left out.

        Raises:
            RegardError: the service cannot be reached, or refuses for another reason than the photo.
        """
        options = {name: value for name, value in query.items() if value is not None}
        waiting: deque[Future[Data | ImageError]] = deque()
        pool = ThreadPoolExecutor(TOGETHER, thread_name_prefix="regard-client")
        try:
            for path in paths:
                waiting.append(pool.submit(self._caption, path, options))
                if len(waiting) > TOGETHER:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _caption(self, path: str, options: Mapping[str, Any]) -> Data | ImageError:
        try:
            image = Path(path).read_bytes()
        except OSError as error:
            return ImageError(path, f"cannot be read ({error.strerror})")
        status, data = self._ask(f"/v1/caption?{urlencode({**options, 'name': path}, doseq=True)}", image)
        if status == 200:
            return data
        problem = data.get("error", {})
        message, allowed, remedy = (str(problem.get(name, "")) for name in ("message", "allowed", "remedy"))
        if problem.get("code") in ("image_unreadable", "too_large", "unsupported_type"):
            return ImageError(path, message.removeprefix(f"{path}: "), allowed=allowed, remedy=remedy)
        raise RegardError(f"{self._url}: {message or f'answers {status}'}", allowed=allowed, remedy=remedy)

    def _ask(self, path: str, body: bytes) -> tuple[int, Data]:
        """Post a body, again where the service is busy."""
        for _ in range(PATIENCE):
            status, pause, content = self._post(path, body)
            if status != 429:
                break
            time.sleep(pause)
        try:
            data = json.loads(content)
        except ValueError:
            raise ConfigError(f"{self._url}: is no service of regard") from None
        return status, data if isinstance(data, dict) else {}

    def _post(self, path: str, body: bytes) -> tuple[int, float, bytes]:
        connection = self._connect(self._address, timeout=TIMEOUT_SECONDS)
        headers = {**self._headers, "content-type": "application/octet-stream"}
        try:
            connection.request("POST", self._path + path, body, headers)
            response = connection.getresponse()
            pause = response.getheader("retry-after", "1")
            return response.status, float(pause) if pause.isdecimal() else 1.0, response.read()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ConfigError(f"{self._url}: cannot be reached ({reason})", remedy="start it: regard serve") from None
        finally:
            connection.close()
