"""The examples run, and what is deployed is what is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Running, png

ROOT = Path(__file__).parents[3]


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    path.write_bytes(png(5))
    return str(path)


def run(*command: str, status: int = 0) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
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


def test_ray_serves_the_captioner(photo: str) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed")
    pytest.importorskip("ray.serve", reason="ray is without serve")
    code = (
        "import sys, urllib.request, json; sys.path.insert(0, 'examples'); import ray; from ray import serve; "
        "ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False); import ray_serve; "
        "serve.run(ray_serve.application); "
        f"body = open({photo!r}, 'rb').read(); "
        "print(json.load(urllib.request.urlopen('http://127.0.0.1:8000/', data=body))['text']); serve.shutdown()"
    )
    assert ray
    assert run(sys.executable, "-W", "ignore", "-c", code)


def test_the_unit_is_hardened() -> None:
    unit = ROOT / "deploy" / "regard.service"
    for option in ("NoNewPrivileges=yes", "DynamicUser=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n"):
        assert option in unit.read_text(encoding="utf-8")
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    run("systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(unit))


def test_what_is_deployed_is_there_and_its_options_are_known() -> None:
    container = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", container, re.MULTILINE):
        assert all((ROOT / source).exists() for source in sources.split())
    known = run(sys.executable, "-m", "regard", "serve", "--help")
    unit = (ROOT / "deploy" / "regard.service").read_text(encoding="utf-8")
    for line in re.findall(r"^[^#\n]*regard serve (.*)", container + unit, re.MULTILINE):
        assert all(option in known for option in re.findall(r"--[a-z-]+", line)), line
    user = re.search(r"^USER (\d+)$", container, re.MULTILINE)
    assert user
    assert int(user[1]) > 0
