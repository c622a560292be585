"""No command reaches for a network, and none writes but where it was told to and into the cache.

An audit hook (PEP 578) sees what Python opens and connects to. What native libraries do by themselves it does not see:
of these only ONNX Runtime reports to anybody, which the variable that is tested last keeps it from.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from regard.saved.onnx.packages import package

WATCH = """
import json, os, sys

touched = []

def watch(event, arguments):
    if event.split(".")[0] in ("socket", "urllib", "http", "ftplib", "smtplib") and event not in QUIET:
        touched.append([event, repr(arguments[1:])[:200]])
    if event == "open" and isinstance(arguments[0], (str, bytes)) and (arguments[2] or 0) & WRITES:
        touched.append([event, os.path.abspath(os.fsdecode(arguments[0]))])
    if event in PLACES and not (event == "os.remove" and arguments[1] != -1):  # else below a folder that was opened
        touched.append([event, os.path.abspath(os.fsdecode(arguments[PLACES[event]]))])

QUIET = ("socket.__new__", "socket.bind", "socket.gethostname")
PLACES = {"os.mkdir": 0, "os.remove": 0, "os.rename": 1, "os.symlink": 1, "os.link": 1}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
from regard.cli import main
sys.addaudithook(watch)
statuses = [main(command) for command in json.loads(sys.argv[1])]
report, touched = json.dumps([statuses, touched]), []
open(sys.argv[2], "w").write(report)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of its own with a photo in it."""
    home = tmp_path / "home"
    home.mkdir()
    Image.new("RGB", (40, 30), "green").save(home / "photo.jpg")
    return home


def test_commands_stay_on_this_machine_and_in_their_folders(
    home: Path, shipped: Path, captioned_folder: Path, tmp_path: Path
) -> None:
    looker, speaker, output = str(shipped / "looker"), str(shipped / "speaker"), tmp_path / "output"
    model = {"encoder": {"name": "efficientnet_lite0", "weights": None, "size": 32}, "decoder": {"name": "repeat"}}
    small = ["--from", "nothing", "--epochs", "1", "--set", "data.crops=0", "--set", f"model={json.dumps(model)}"]
    commands = [
        ["models"],
        ["doctor"],
        ["caption", "--model", looker, str(home / "photo.jpg"), "--save", str(output / "page.html")],
        ["caption", "--model", looker, str(home / "photo.jpg"), "--output", str(output / "captions.jsonl")],
        ["explain", "--model", looker, str(home / "photo.jpg")],
        ["translate", "--model", speaker, "a red cat", "--save", str(output / "matrix.png")],
        ["data", "check", str(captioned_folder)],
        ["data", "convert", str(captioned_folder), "--to", "coco", "--output", str(output / "coco")],
        ["init", str(captioned_folder), "--from", "nothing", "--output", str(output / "recipe.yaml")],
        ["train", str(captioned_folder), "--output", str(output / "run"), *small],
        ["evaluate", looker, str(captioned_folder), "--split", "dev", "--output", str(output / "scores.jsonl")],
    ]
    alone = [["cache"], ["cache", "clear"]]  # what another process holds stays
    report, cache, temporary = tmp_path / "report.json", tmp_path / "cache", tmp_path / "temporary"
    temporary.mkdir()
    folders = {"HOME": str(home), "REGARD_CACHE": str(cache), "TMPDIR": str(temporary)}
    # PyTorch, where a test has compiled something, leaves the name of its own temporary folder in the environment
    inherited = {name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"}
    environment = {**inherited, **folders, "PYTHONDONTWRITEBYTECODE": "1"}
    touched: list[tuple[str, str]] = []
    for process in (commands, alone):
        subprocess.run(
            [sys.executable, "-c", WATCH, json.dumps(process), str(report)],
            env=environment,
            cwd=home,
            check=True,
            capture_output=True,
            timeout=600,
        )
        statuses, seen = json.loads(report.read_text())
        assert list(zip(process, statuses, strict=True)) == [(command, 0) for command in process]
        touched += seen
    assert [each for each in touched if each[0].split(".")[0] not in ("open", "os")] == []
    allowed = tuple(map(str, (output, cache, temporary, os.devnull)))
    assert [path for _, path in touched if not path.startswith(allowed)] == []
    left = [path for path in temporary.rglob("*") if path.is_file()]
    assert left == [], "PyTorch makes an empty folder there, and nothing else is left"
    assert any(path.startswith(str(output)) for _, path in touched), "the hook sees what is written"


def test_onnx_runtime_is_kept_from_reporting_before_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    package("json", purpose="a test")
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
