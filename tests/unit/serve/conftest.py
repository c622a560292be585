"""Services of tiny models in processes of their own, at ports that the system chose."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

from regard.evidence.calibration import Calibration, Logistic

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")

PATIENCE = 60


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of a problem."""
        return str(self.json()["error"]["code"])


class Running:
    """A service that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, f"says its address, not {line!r}"
        self.port = int(found[1])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, **query: object
    ) -> Answer:
        connection = self.connect()
        try:
            connection.request(method, f"{path}?{urlencode(query)}" if query else path, body or None, headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def caption(self, image: bytes, headers: dict[str, str] | None = None, **query: object) -> Answer:
        return self.ask("POST", "/v1/caption", image, {"content-type": "image/png", **(headers or {})}, **query)

    def translate(self, headers: dict[str, str] | None = None, **values: object) -> Answer:
        names = {("from" if name == "source" else name): value for name, value in values.items()}
        typed = {"content-type": "application/json", **(headers or {})}
        return self.ask("POST", "/v1/translate", json.dumps(names).encode(), typed)

    def model_processes(self) -> list[int]:
        pid = self.process.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stop(self) -> int:
        """Ask it to stop, and give its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


Start = Callable[..., Running]


@pytest.fixture(scope="session")
def tiny_models(
    tmp_path_factory: pytest.TempPathFactory, tiny_captioner: Any, tiny_translator: Any
) -> tuple[Path, Path]:
    """The folders of a captioner, calibrated so that it is sure of some captions alone, and of a translator."""
    from regard.saved.bundle import save_bundle

    folder = tmp_path_factory.mktemp("models")
    words = Logistic(("log_odds",), (-1.0,), (0.2,), (1.0,), 0.0)
    captions = Logistic(("caption",), (-1.5,), (0.1,), (1.0,), -0.7)
    calibration = Calibration(words, captions, np.zeros(12), np.ones(12))
    save_bundle(replace(tiny_captioner, calibration=calibration), folder / "looker")
    save_bundle(tiny_translator, folder / "speaker")
    return folder / "looker", folder / "speaker"


@pytest.fixture(scope="session")
def start(tiny_models: tuple[Path, Path]) -> Iterator[Start]:
    """Starts services of the tiny models, and stops them in the end."""
    named = [argument for folder in tiny_models for argument in ("--model", str(folder))]
    with ExitStack() as stack:

        def started(*options: str, processes: int = 1) -> Running:
            command = [sys.executable, "-m", "regard", "serve", "--port", "0", "--processes", str(processes)]
            process = subprocess.Popen(
                [*command, *named, *options],
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            stack.callback(process.stdout.close if process.stdout else (lambda: None))
            stack.callback(process.wait, PATIENCE)
            stack.callback(process.kill)
            return Running(process)

        yield started


@pytest.fixture(scope="session")
def service(start: Start) -> Running:
    """A service that no test stops or damages."""
    return start("--limit", "image_pixels=200000", "--limit", "image_bytes=300000", "--limit", "text_characters=400")


def png(number: int = 0, *, width: int = 83, height: int = 61) -> bytes:
    """A picture that no other number gives."""
    coarse = Image.fromarray(np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize((width, height), Image.Resampling.BICUBIC).save(file, format="PNG")
    return file.getvalue()
