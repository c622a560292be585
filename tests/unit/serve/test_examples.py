"""The examples run, and what is deployed is what is there."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import regard

from .conftest import Running, png

ROOT = Path(__file__).parents[3]
OPTION = re.compile(r"--[a-z][a-z-]*")


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    path.write_bytes(png(5))
    return str(path)


def run(*command: str, status: int = 0, seconds: float = 60) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, cwd=ROOT)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_curl_describes_and_translates(service: Running, photo: str) -> None:
    url = f"http://127.0.0.1:{service.port}"
    text = service.caption(png(5), beam=5, alternatives=2).json()["text"]
    assert json.loads(run("sh", "examples/caption.sh", photo, url))["text"] == text
    sentence = 'He says "run"'
    assert json.loads(run("sh", "examples/translate.sh", sentence, "de", url))["source"] == sentence


@pytest.mark.parametrize("command", [(sys.executable, "examples/client.py"), ("node", "examples/client.mjs")])
def test_clients_describe_and_translate(service: Running, photo: str, command: tuple[str, str]) -> None:
    url = f"http://127.0.0.1:{service.port}"
    lines = run(*command, photo, url).splitlines()
    caption = service.caption(png(5), beam=5).json()
    assert lines[0] == caption["text"]
    assert len(lines) == 2 + len(caption["words"])
    assert "image_unreadable" in run(*command, __file__, url, status=1)


RAY = """
import json, sys, urllib.request
import ray
from ray import serve

photo, port = sys.argv[1], int(sys.argv[2])
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
serve.start(http_options={"host": "127.0.0.1", "port": port})
sys.path.insert(0, "examples")
import ray_serve

serve.run(ray_serve.application)
for body in (open(photo, "rb").read(), b"no photo"):
    print(urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=body).read().decode())
serve.shutdown()
"""


def test_ray_serves_the_captioner(photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    if importlib.util.find_spec("aiohttp") is None:
        pytest.skip("ray is without serve")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    lines = run(sys.executable, "-W", "ignore", "-c", RAY, photo, str(port), seconds=300).splitlines()
    described, refused = [json.loads(line) for line in lines if line.startswith("{")]
    captioner = regard.load("everyday")
    assert isinstance(captioner, regard.Captioner)
    assert described["text"] == captioner.caption(photo).text
    assert "error" in refused


def test_the_unit_is_hardened() -> None:
    unit = ROOT / "deploy" / "regard.service"
    for option in ("NoNewPrivileges=yes", "DynamicUser=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n"):
        assert option in unit.read_text(encoding="utf-8")
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    run("systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(unit))


def test_the_container_is_built_from_what_is_there() -> None:
    container = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
    copied = {each for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", container, re.M) for each in sources.split()}
    assert all((ROOT / each).exists() for each in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {project["readme"], *project["license-files"], "pyproject.toml", "src", "constraints.txt"}
    assert {each for each in needed if not each.startswith("src/")} == copied
    user = re.search(r"^USER (\d+)$", container, re.MULTILINE)
    assert user
    assert int(user[1]) > 0


def test_the_container_starts_the_service_for_the_hosts_that_it_is_told(tmp_path: Path) -> None:
    container = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
    entry = re.search(r"^ENTRYPOINT (.+)$", container, re.MULTILINE)
    assert entry
    (tmp_path / "regard").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "regard").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "REGARD_HOSTS": "a.example b.example"}
    command = [*json.loads(entry[1]), "--port", "9000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    hosts = ["--allow-host", "b.example", "--allow-host", "a.example"]
    assert done.stdout.splitlines() == ["serve", "--host", "0.0.0.0", *hosts, "--port", "9000"]


def test_what_is_deployed_asks_for_options_that_are_known() -> None:
    known = run(sys.executable, "-m", "regard", "serve", "--help")
    for name in ("Containerfile", "regard.service"):
        text = (ROOT / "deploy" / name).read_text(encoding="utf-8")
        asked = [
            option for line in re.findall(r"^[^#\n]*regard serve.*", text, re.M) for option in OPTION.findall(line)
        ]
        assert asked
        assert all(option in known for option in asked)
