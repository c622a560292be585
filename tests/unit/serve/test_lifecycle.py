"""Starting, being killed, being slow, and stopping."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .conftest import Running, Start, png


def until(true: object, *, seconds: float = 30.0) -> None:
    """Wait until a condition holds; a test that waits in vain fails."""
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.02)


def test_a_killed_process_loses_only_its_own_work_and_comes_back(start: Start) -> None:
    service = start(processes=2)
    until(lambda: len(service.model_processes()) == 2)
    statuses: list[int] = []

    def ask() -> None:
        answer = service.caption(png(1), beam=5)
        statuses.append(answer.status)
        if answer.status == 503:
            assert answer.code == "process_ended"
            assert answer.headers["retry-after"]

    victim = service.model_processes()[0]
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask) for _ in range(120)]
        until(lambda: len(statuses) > 20)
        os.kill(victim, signal.SIGKILL)
        for each in asked:
            each.result()
    assert set(statuses) <= {200, 503}
    assert statuses.count(503) <= 16
    until(lambda: "regard_processes_ready 2" in service.get("/metrics").body.decode())
    assert victim not in service.model_processes()
    assert service.caption(png(1)).status == 200
    assert "regard_process_restarts_total 1" in service.get("/metrics").body.decode()


def test_what_takes_too_long_is_given_up(start: Start) -> None:
    service = start("--limit", "compute_seconds=0.05")
    answer = service.caption(png(0, width=400, height=400), beam=20, max_length=100, min_length=100)
    assert (answer.status, answer.code) == (503, "timed_out")


def test_more_than_may_wait_are_told_to_come_again(start: Start) -> None:
    service = start("--limit", "waiting=2")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: service.caption(png(number), beam=20, min_length=5), range(24)))
    refused = [each for each in answers if each.status == 429]
    assert {each.status for each in answers} == {200, 429}
    assert all(each.code == "busy" and int(each.headers["retry-after"]) >= 1 for each in refused)


def test_slow_clients_are_cut_off(start: Start) -> None:
    service = start("--limit", "read_seconds=0.5")
    half_a_body = b"POST /v1/caption HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc"
    for sent in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n"):
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
            client.sendall(sent)
            assert client.recv(1000) == b""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
        client.sendall(half_a_body)
        assert client.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_sigterm_lets_accepted_requests_finish_and_refuses_others(start: Start) -> None:
    service = start()
    outcomes: list[object] = []
    lock = threading.Lock()

    def ask(number: int) -> None:
        try:
            outcome: object = service.caption(png(number), beam=10, min_length=5)
        except OSError as error:  # a connection that was never accepted
            outcome = error
        with lock:
            outcomes.append(outcome)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, number) for number in range(100)]
        until(lambda: len(outcomes) > 10)
        assert service.stop() == 0
        for each in asked:
            each.result()
    answers = [each for each in outcomes if not isinstance(each, OSError)]
    assert {each.status for each in answers} <= {200, 503}  # type: ignore[attr-defined]
    refused = [each for each in answers if each.status == 503]  # type: ignore[attr-defined]
    assert all(each.code == "stopping" for each in refused)  # type: ignore[attr-defined]
    assert all(isinstance(each, ConnectionError) for each in outcomes if isinstance(each, OSError))


def test_no_model_process_outlives_the_service(start: Start) -> None:
    service = start()
    (child,) = service.model_processes()
    service.process.kill()
    service.process.wait()
    until(lambda: not _runs(child))


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "none"], "error: none: no such model; allowed: "),
        (["--port", "70000"], "less than or equal to 65535"),
        (["--limit", "waitin=3"], "did you mean 'waiting'?"),
        (["--limit", "waiting=0"], "waiting"),
        (["--api-keys", "/nonexistent"], "cannot be read"),
        (["--host", "203.0.113.1"], "cannot be listened on"),
    ],
)
def test_a_service_that_cannot_start_says_why(options: list[str], message: str) -> None:
    command = [sys.executable, "-m", "regard", "serve", "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_process_that_speaks_http_does_without_torch() -> None:
    code = "import sys, regard.serve.app, regard.serve.server; assert 'torch' not in sys.modules, 'torch'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_address_in_use_is_said(service: Running) -> None:
    command = [sys.executable, "-m", "regard", "serve", "--port", str(service.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"127.0.0.1:{service.port} cannot be listened on (Address already in use)" in done.stderr
