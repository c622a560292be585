"""The service under load: throughput and latency at 50, 100 and 400 % of its capacity, beside LitServe.

    make bench-serve                                                        (writes docs/service-load.md)
    python benchmarks/serve_load.py --seconds 5                             (prints the table alone)

Capacity is what clients get that ask again as soon as they are answered. At a share of it, requests arrive at random
times (a Poisson process), whether earlier ones are answered or not; a request that is refused with 429 is not asked
again. Latencies are those of accepted requests. The peer serves the same model with the same batches.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

SHARES = (0.5, 1.0, 4.0)
CLIENTS = 32
PEER = "litserve_peer.py"
PHOTOS = 16


@dataclass
class Outcome:
    """What came of requests: seconds of those that were answered, and how many had each status."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return len(self.seconds) / self.elapsed

    def percentile(self, share: float) -> float:
        """Milliseconds below which a share of the answered requests was."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def photos() -> list[bytes]:
    """JPEG files of 500 × 375 pixels, as Flickr8k has them, of smooth noise."""
    found = []
    for number in range(PHOTOS):
        chance = random.Random(number)
        coarse = Image.frombytes("RGB", (25, 19), chance.randbytes(25 * 19 * 3))
        file = io.BytesIO()
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(file, format="JPEG", quality=85)
        found.append(file.getvalue())
    return found


async def ask(port: int, path: str, body: bytes) -> int:
    """One request on a connection of its own; its status, 0 where none came."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + body)
        await writer.drain()
        received = await reader.read()
        writer.close()
    except OSError:
        return 0
    found = re.match(rb"HTTP/1\.1 (\d{3})", received)
    return int(found[1]) if found else 0


async def timed(port: int, path: str, body: bytes, outcome: Outcome) -> None:
    """Ask once, and note what came of it."""
    began = time.perf_counter()
    status = await ask(port, path, body)
    outcome.statuses[status] += 1
    if status == 200:
        outcome.seconds.append(time.perf_counter() - began)


async def closed(port: int, path: str, bodies: list[bytes], seconds: float) -> Outcome:
    """Clients that ask again as soon as they are answered."""
    outcome, began = Outcome(), time.perf_counter()

    async def client(number: int) -> None:
        while time.perf_counter() - began < seconds:
            await timed(port, path, bodies[number % len(bodies)], outcome)

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    outcome.elapsed = time.perf_counter() - began
    return outcome


async def arriving(port: int, path: str, bodies: list[bytes], seconds: float, rate: float) -> Outcome:
    """Requests that arrive at random times, ``rate`` a second on average."""
    outcome, chance, began, due = Outcome(), random.Random(1), time.perf_counter(), 0.0
    async with asyncio.TaskGroup() as tasks:
        while due < seconds:
            due += chance.expovariate(rate)
            await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
            tasks.create_task(timed(port, path, chance.choice(bodies), outcome))
    outcome.elapsed = time.perf_counter() - began
    return outcome


class Served:
    """A server in a process group of its own, which is ended as a whole."""

    def __init__(self, command: list[str], *, port: int | None, packages: str = "") -> None:
        pipe = subprocess.PIPE if port is None else subprocess.DEVNULL
        paths = os.pathsep.join(filter(None, [*sys.path[1:], packages]))
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment, process_group=0
        )
        if port is None:
            assert self._process.stdout is not None
            found = re.search(r":(\d+)/", self._process.stdout.readline())
            assert found, "the service says its address"
            port = int(found[1])
        self.port = port

    def end(self) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def measure(port: int, path: str, bodies: list[bytes], seconds: float) -> Iterator[tuple[str, Outcome]]:
    """Each load by its name: capacity, and shares of it."""
    asyncio.run(closed(port, path, bodies, min(3.0, seconds)))  # until everything is loaded and warm
    capacity = asyncio.run(closed(port, path, bodies, seconds))
    yield "capacity", capacity
    for share in SHARES:
        yield f"{share:.0%}", asyncio.run(arriving(port, path, bodies, seconds, share * capacity.rate))


def caption_many_rate(seconds: float) -> float:
    """Photos a second of the library in as many processes as there are cores, without HTTP."""
    program = (
        "import io, sys, time, regard\n"
        "captioner = regard.load(sys.argv[1], threads=1)\n"
        "data, size = sys.stdin.buffer.read(), int(sys.argv[3])\n"
        "files = [data[i : i + size] for i in range(0, len(data), size)]\n"
        "def run():\n"
        "    images = [io.BytesIO(each) for each in files]\n"
        "    return len(list(captioner.caption_many(images, batch=16, alternatives=0)))\n"
        "run(); began, n = time.perf_counter(), 0\n"
        "while time.perf_counter() - began < float(sys.argv[2]): n += run()\n"
        "print(n / (time.perf_counter() - began))\n"
    )
    bodies = photos()
    size = max(map(len, bodies))
    data = b"".join(each.ljust(size, b"\0") for each in bodies)
    command = [sys.executable, "-c", program, model(), str(seconds), str(size)]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(os.cpu_count() or 1)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(data)
        worker.stdin.close()
    rates = []
    for worker in workers:
        assert worker.stdout is not None
        rates.append(float(worker.stdout.read()))
        worker.stdout.close()
        worker.wait()
    return sum(rates)


def model() -> str:
    """The default captioner."""
    from regard.saved import DEFAULT_CAPTIONER

    return DEFAULT_CAPTIONER


def free_port() -> int:
    """A port that nobody listens on now."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def row(name: str, load: str, outcome: Outcome) -> str:
    """One line of the table."""
    refused = sum(count for status, count in outcome.statuses.items() if status != 200)
    times = " | ".join(f"{outcome.percentile(share):.0f}" for share in (0.5, 0.95, 0.99))
    share = refused / max(1, sum(outcome.statuses.values()))
    return f"| {name} | {load} | {outcome.rate:.1f} | {times} | {share:.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--peer", help="a folder with the packages of litserve")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    lines = []
    for line in measured(given.seconds, given.peer):
        sys.stdout.write(f"{line}\n")  # as it is known: the peer may take long
        sys.stdout.flush()
        lines.append(line)
    if given.output is not None:
        given.output.write_text(_page(lines), encoding="utf-8")


def measured(seconds: float, peer: str | None) -> Iterator[str]:
    """The lines of the table, and behind it what they come to."""
    yield "| server | load | answered a second | p50 ms | p95 ms | p99 ms | refused |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    alone = caption_many_rate(seconds)
    yield f"| `caption_many`, no HTTP | | {alone:.1f} | | | | |"
    outcomes: dict[tuple[str, str], Outcome] = {}
    for server, loads in (("regard serve", own_loads(seconds)), ("LitServe", peer_loads(peer, seconds))):
        for load, outcome in loads:
            outcomes[server, load] = outcome
            yield row(server, load, outcome)
    yield ""
    yield from conclusions(outcomes, alone)


def own_loads(seconds: float) -> Iterator[tuple[str, Outcome]]:
    """The service under each load."""
    own = Served([sys.executable, "-m", "regard", "serve", "--model", model(), "--port", "0"], port=None)
    try:
        yield from measure(own.port, "/v1/caption?alternatives=0", photos(), seconds)
    finally:
        own.end()


def peer_loads(packages: str | None, seconds: float) -> Iterator[tuple[str, Outcome]]:
    """LitServe under each load; nothing where it is not installed or does not start."""
    if packages is None:
        return
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name(PEER)), model(), str(port)]
    peer = Served(command, port=port, packages=packages)
    # LitServe takes JSON alone
    bodies = [json.dumps({"image": base64.b64encode(photo).decode()}).encode() for photo in photos()]
    try:
        for _ in range(240):
            if asyncio.run(ask(port, "/predict", bodies[0])) == 200:
                yield from measure(port, "/predict", bodies, seconds)
                return
            time.sleep(0.5)
    finally:
        peer.end()


def conclusions(outcomes: dict[tuple[str, str], Outcome], alone: float) -> Iterator[str]:
    """What the service is measured by, beside what is aimed at."""
    own = {load: outcome for (server, load), outcome in outcomes.items() if server == "regard serve"}
    ratio = own["400%"].percentile(0.99) / own["100%"].percentile(0.99)
    yield f"- p99 of accepted requests at 400 % beside that at 100 %: {ratio:.2f} (aim: at most 2)."
    yield f"- Capacity beside `caption_many` without HTTP: {own['capacity'].rate / alone:.0%} (aim: 90 %)."
    peer = outcomes.get(("LitServe", "capacity"))
    if peer is None:
        yield "- LitServe was not measured."
    else:
        yield f"- Capacity beside LitServe: {own['capacity'].rate / peer.rate:.2f} (aim: 1.5)."


INTRODUCTION = """# The service under load

Written by `make bench-serve`. Capacity is what clients get that ask again as soon as they are answered. At a share of
it requests arrive at random times; what is refused with 429 is not asked again. Latencies are those of accepted
requests. Beam 5, JPEG files of 500 by 375 pixels, clients and servers on the same machine.
"""


def _page(lines: list[str]) -> str:
    from regard.evaluation.compare.machine import describe_machine, describe_versions

    return "\n".join([INTRODUCTION, f"{describe_machine()}; {describe_versions()}.", "", *lines, ""])


if __name__ == "__main__":
    main()
