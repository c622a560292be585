"""Attacks on a running service: damaged images, hostile requests, and clients that check whose answer they get.

    python tests/hostile/attack_service.py --images 20000 --requests 2000 --coded 10000

starts a service with the shipped models, attacks it, and prints what came of it; a part of it runs in ``make test``.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from PIL import Image

Outcome = TypeVar("Outcome")
CLIENTS = 8
PATIENCE = 60
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
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        found = re.search(r"^regard_process_restarts_total (\d+)$", text, re.MULTILINE)
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


def _services() -> Iterator[Target]:
    command = [sys.executable, "-m", "regard", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r":(\d+)/", process.stdout.readline())
        assert found, "the service says its address"
        yield Target(int(found[1]), process.pid)
        process.terminate()


def memory(target: Target) -> int:
    """Resident bytes of a service and its model processes."""
    children = Path(f"/proc/{target.pid}/task/{target.pid}/children").read_text(encoding="ascii").split()
    total = 0
    for pid in (target.pid, *map(int, children)):
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
        assert found, "Linux tells it"
        total += int(found[1]) * 1024
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, count in (("images", 20_000), ("requests", 2_000), ("coded", 10_000)):
        parser.add_argument(f"--{name}", type=int, default=count)
    given = parser.parse_args()
    failed = False
    for target in _services():
        images = attack_with_images(target, given.images)
        requests = attack_with_requests(target, given.requests)
        coded = ask_with_codes(target, given.coded // 10)
        before = memory(target)
        coded += ask_with_codes(target, given.coded - given.coded // 10)
        growth = memory(target) / before
        for name, outcomes in (("damaged images", images), ("hostile requests", requests), ("coded requests", coded)):
            sys.stdout.write(f"{name}: {sum(outcomes.values())}, {dict(sorted(outcomes.items(), key=str))}\n")
        restarts = target.restarts()
        sys.stdout.write(f"model processes that ended: {restarts}\n")
        sys.stdout.write(f"memory after all coded requests beside that after a tenth: {growth:.1%}\n")
        refused = any(isinstance(each, int) and each >= 500 for each in (*images, *requests))
        failed = refused or restarts > 0 or set(coded) - {"own"} != set()
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
