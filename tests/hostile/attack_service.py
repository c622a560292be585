"""Attacks on a running service: damaged images, hostile requests, clients that check whose answer they get, and kills.

    python tests/hostile/attack_service.py [--shipped] [--images 20000] [--requests 2000] [--coded 10000]

starts a service of small models with random weights, or of the shipped ones, attacks it, and prints what came of it, a
line an attack; exit status 1 where one failed. A part of it runs in ``make test``.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

Outcome = TypeVar("Outcome")
CLIENTS = 8
PATIENCE = 300
LONGEST_RESPONSE = 1 << 20


class Target:
    """A service, by its port; ``pid`` is its process where its memory is to be told."""

    def __init__(self, port: int, pid: int = 0) -> None:
        self.port = port
        self.pid = pid

    def post(self, path: str, body: bytes, content_type: str) -> tuple[int, bytes]:
        """Status and body; 429 is asked again, as clients do."""
        for _ in range(1000):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            try:
                connection.request("POST", path, body, {"content-type": content_type})
                response = connection.getresponse()
                answer = response.status, response.read()
            finally:
                connection.close()
            if answer[0] != 429:
                return answer
            time.sleep(0.05)
        return 429, b""

    def send(self, content: bytes) -> bytes:
        """What comes back for raw bytes, until the service closes or says nothing more."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
            client.settimeout(1)
            received = b""
            try:
                client.sendall(content)
                client.shutdown(socket.SHUT_WR)
                while len(received) < LONGEST_RESPONSE and (part := client.recv(65536)):
                    received += part
            except OSError:  # cut off, or nothing more
                pass
        return received

    def restarts(self) -> int:
        """How many model processes had to be started again."""
        return self._metric("regard_process_restarts_total")

    def ready(self) -> int:
        """How many model processes can compute."""
        return self._metric("regard_processes_ready")

    def model_processes(self) -> list[int]:
        """Their ids."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [int(each) for each in children.split()]

    def memory(self) -> int:
        """Resident bytes of the service and its model processes."""
        statuses = [
            Path(f"/proc/{pid}/status").read_text(encoding="ascii") for pid in (self.pid, *self.model_processes())
        ]
        return sum(int(size) * 1024 for each in statuses for size in re.findall(r"VmRSS:\s+(\d+) kB", each))

    def _metric(self, name: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        found = re.search(rf"^{name} (\d+)$", text, re.MULTILINE)
        assert found, "the service counts"
        return int(found[1])


def seeds() -> list[bytes]:
    """Small images in every format that is taken."""
    image = Image.effect_noise((64, 48), 60).convert("RGB")
    found = []
    for options in (
        {"format": "JPEG"},
        {"format": "JPEG", "progressive": True},
        {"format": "PNG"},
        {"format": "WEBP"},
        {"format": "GIF"},
        {"format": "BMP"},
    ):
        file = io.BytesIO()
        image.save(file, **options)  # type: ignore[arg-type]
        found.append(file.getvalue())
    return found


def mutate(content: bytes, chance: random.Random) -> bytes:
    """The bytes with something wrong in them."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        at = chance.randrange(len(data)) if chance.random() < 0.6 else chance.randrange(min(64, len(data)))
        kind = chance.randrange(6)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.choice((0, 255, 127, 128))
        elif kind == 2:
            del data[at : at + chance.randrange(1, 40)]
        elif kind == 3:
            data[at:at] = chance.randbytes(chance.randrange(1, 40))
        elif kind == 4:
            data[at : at + 4] = b"\xff\xff\xff\xff"
        else:
            del data[max(1, at) :]
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


def attack_with_images(target: Target, count: int, *, seed: int = 0) -> Counter[int]:
    """Send damaged images, and count the statuses."""
    originals = seeds()

    def one(number: int) -> int:
        chance = random.Random(seed * 1_000_003 + number)
        path = "/v1/caption?beam=1&alternatives=0&max_length=3"
        return target.post(path, mutate(chance.choice(originals), chance), "application/octet-stream")[0]

    return _together(one, count)


def hostile_request(chance: random.Random) -> bytes:
    """One request that no honest client sends."""
    path = chance.choice(
        (
            "/",
            "/v1/caption",
            "/v1/translate",
            "/page/../../etc/passwd",
            "/%00",
            "/page/%2e%2e%2f",
            "/" + "a" * 9000,
            "*",
        )
    )
    method = chance.choice(("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "CONNECT", "\x00", "G" * 400))
    headers = chance.sample(
        [
            b"Host: localhost",
            b"Host: evil.example",
            b"Host: localhost\r\nHost: evil.example",
            b"Content-Length: -1",
            b"Content-Length: 99999999999999999999",
            b"Content-Length: 5\r\nContent-Length: 6",
            b"Content-Length: 4\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: chunked, identity",
            b"X: " + b"y" * chance.choice((10, 9_000, 70_000)),
            b"\xff\xfe: \x00",
            b" folded: value",
            b"Expect: 100-continue",
            b"Accept: " + b"text/html," * 500,
            b"Authorization: Bearer " + bytes([255]) * 20,
            b"Content-Type: multipart/form-data; boundary=a",
            b"Content-Type: application/json",
            b"Origin: null",
            b"Upgrade: websocket\r\nConnection: Upgrade",
            b"Range: bytes=0-" + b"9" * 40,
        ],
        k=chance.randrange(1, 6),
    )
    body = chance.choice(
        (
            b"",
            b"0\r\n\r\n",
            b"ffffffffffffffff\r\n",
            b"5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b'{"text": ' + b"[" * 5000,
            b'{"text": "' + "\U0001f600".encode() * 200 + b'"}',
            chance.randbytes(300),
        )
    )
    version = chance.choice(("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/9.9", "", "ICY"))
    line = f"{method} {path} {version}".encode("latin-1")
    return chance.choice((line, chance.randbytes(40), line)) + b"\r\n" + b"\r\n".join(headers) + b"\r\n\r\n" + body


def attack_with_requests(target: Target, count: int, *, seed: int = 0) -> Counter[int]:
    """Send hostile requests, and count the statuses; 0 is a connection that was closed without a word."""

    def one(number: int) -> int:
        received = target.send(hostile_request(random.Random(seed * 1_000_003 + number)))
        found = re.match(rb"HTTP/1\.1 (\d{3}) ", received)
        return int(found[1]) if found else 0

    return _together(one, count)


def ask_with_codes(target: Target, count: int) -> Counter[str]:
    """Ask with a code in each request, and count whose answers come back: ``own`` or ``another's``."""

    def one(number: int) -> str:
        body = json.dumps({"text": f"Dog {number}", "beam": 1, "alternatives": 0, "max_length": 2}).encode()
        status, answer = target.post("/v1/translate", body, "application/json")
        if status != 200:
            return str(status)
        return "own" if json.loads(answer)["source"] == f"Dog {number}" else "another's"

    return _together(one, count)


def _together(one: Callable[[int], Outcome], count: int) -> Counter[Outcome]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        return Counter(pool.map(one, range(count)))


def kill_under_load(target: Target, count: int) -> tuple[Counter[int], float]:
    """Kill a model process while clients ask; the statuses, and the seconds until all processes are ready again."""
    ready, victim = target.ready(), target.model_processes()[0]

    def one(number: int) -> tuple[int, float]:
        if number != count // 4:
            return target.post("/v1/caption?beam=1", seeds()[0], "image/jpeg")[0], 0.0
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        while victim in target.model_processes() or target.ready() < ready:
            time.sleep(0.02)
        return 200, time.monotonic() - began

    outcomes = _together(one, count)
    return Counter(status for status, _ in outcomes.elements()), max(seconds for _, seconds in outcomes)


def stop_under_load(target: Target, count: int) -> Counter[str]:
    """Ask for the end while clients ask: ``answered``, ``refused``, ``not accepted``, or ``lost`` where an accepted
    request got no answer."""

    def one(number: int) -> str:
        if number == count // 4:
            os.kill(target.pid, signal.SIGTERM)
        try:
            client = socket.create_connection(("127.0.0.1", target.port), timeout=PATIENCE)
        except OSError:
            return "not accepted"
        with client:
            try:
                head = f"POST /v1/caption?beam=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(image)}\r\n\r\n"
                client.sendall(head.encode() + image)
                status = client.recv(65536)[9:12]
            except ConnectionError:  # it was closed before the request was read
                return "not accepted"
            except TimeoutError:
                return "lost"
        return {b"200": "answered", b"503": "refused", b"429": "refused"}.get(status, "lost")

    image = seeds()[0]
    return _together(one, count)


@contextmanager
def running(models: Sequence[Path]) -> Iterator[Target]:
    """A service of these models, or of the shipped ones where there are none."""
    named = [argument for each in models for argument in ("--model", str(each))]
    command = [sys.executable, "-m", "regard", "serve", "--port", "0", "--limit", "wait_seconds=600", *named]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r":(\d+)/", process.stdout.readline())
        assert found, "the service says its address"
        try:
            yield Target(int(found[1]), process.pid)
        finally:
            process.terminate()


def attack(target: Target, given: argparse.Namespace) -> Iterator[tuple[str, Counter[Any], bool]]:
    """The attacks one after the other: what was tried, what came of it, and whether all is well."""
    images = attack_with_images(target, given.images)
    yield "damaged images", images, not any(status >= 500 for status in images)
    requests = attack_with_requests(target, given.requests)
    yield "hostile requests", requests, not any(status >= 500 for status in requests)
    yield "model processes that ended", Counter({"ended": target.restarts()}), not target.restarts()
    coded = ask_with_codes(target, given.coded // 10)
    before = target.memory()
    coded += ask_with_codes(target, given.coded - given.coded // 10)
    growth = target.memory() / before - 1
    yield f"coded requests, memory {growth:+.1%} after the first tenth", coded, set(coded) <= {"own"} and growth < 0.05
    statuses, seconds = kill_under_load(target, given.kills)
    yield f"a killed process, back after {seconds:.1f} s", statuses, set(statuses) <= {200, 503}
    stopped = stop_under_load(target, given.kills)
    yield "a stop under load", stopped, not stopped["lost"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shipped", action="store_true", help="attack the shipped models, which takes hours")
    for name, count in (("images", 20_000), ("requests", 2_000), ("coded", 10_000), ("kills", 400)):
        parser.add_argument(f"--{name}", type=int, default=count)
    given = parser.parse_args()
    failed = False
    with (
        tempfile.TemporaryDirectory() as folder,
        running([] if given.shipped else _small_models(Path(folder))) as target,
    ):
        for what, outcomes, is_well in attack(target, given):
            failed |= not is_well
            counts = dict(sorted(outcomes.items(), key=str))
            print(f"{'' if is_well else 'FAILED '}{what}: {sum(outcomes.values()):,}, {counts}", flush=True)
    return int(failed)


def _small_models(folder: Path) -> list[Path]:
    sys.path.insert(0, str(Path(__file__).parent))
    from damaged_models import save_captioner, save_translator

    return [save_captioner(folder / "captioner"), save_translator(folder / "translator")]


if __name__ == "__main__":
    sys.exit(main())
