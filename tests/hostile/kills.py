"""Kills at any moment, while training and while translating a file; and the ends of commands with workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from damaged_models import save_captioner
from outcome import ANSWERED, FAILED, Outcomes, chance_of
from PIL import Image
from safetensors.torch import load_file

SUBJECTS = ("A dog", "Two cats", "A man in red", "Some people", "A brown horse")
DEEDS = ("runs on the beach.", "sit near a car.", "jumps over a log.", "looks at the sea.")


def attack_training(numbers: range, outcomes: Outcomes) -> None:
    """Kill a run at a random moment and go on: the model is that of a run that was never killed, bit for bit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = _recipe(folder)
        whole = _timed("train", str(recipe), "--output", str(folder / "whole"))
        for number in numbers:
            moment = chance_of("kills in training", number).uniform(0.2, 1) * whole
            run = folder / "killed"
            command = ("train", str(recipe), "--output", str(run))
            _killed(moment, *command)
            done = _run(*command)
            same = done.returncode == 0 and _same_weights(run, folder / "whole")
            outcomes.add(ANSWERED if same else FAILED, f"{number} after {moment:.1f} s", why=done.stderr[-300:])
            shutil.rmtree(run)


def attack_translating(numbers: range, outcomes: Outcomes) -> None:
    """Kill the translation of a file at a random moment and go on: its lines are those of one never killed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts, output = folder / "in.txt", folder / "out.txt"
        texts.write_text("".join(f"{SUBJECTS[i % 5]} {DEEDS[i % 4]} {i}\n" for i in range(1000)), encoding="utf-8")
        command = ("translate", "--file", str(texts), "--beam", "1", "--output")
        whole = _timed(*command, str(folder / "whole.txt"))
        for number in numbers:
            moment = chance_of("kills in translating", number).uniform(0.2, 1) * whole
            output.unlink(missing_ok=True)
            _killed(moment, *command, str(output))
            done = _run(*command, str(output))
            same = done.returncode == 0 and output.read_bytes() == (folder / "whole.txt").read_bytes()
            outcomes.add(ANSWERED if same else FAILED, f"{number} after {moment:.1f} s", why=done.stderr[-300:])


def attack_exits(numbers: range, outcomes: Outcomes) -> None:
    """Describe small pictures with two workers, again and again: the exit status is 0 and every line is there."""
    with tempfile.TemporaryDirectory() as name:
        model, photos = save_captioner(Path(name) / "model"), Path(name) / "photos"
        photos.mkdir()
        for number in range(70):
            Image.effect_noise((40 + number, 50), 80).convert("RGB").save(photos / f"{number:03}.png")
        for number in numbers:
            began = time.monotonic()
            done = _run("caption", "--model", str(model), "--workers", "2", str(photos))
            whole = done.returncode == 0 and len(done.stdout.splitlines()) == 70 and not done.stderr
            why = f"exit {done.returncode}, {len(done.stdout.splitlines())} lines: {done.stderr[-300:]}"
            outcomes.add(ANSWERED if whole else FAILED, f"run {number}", seconds=time.monotonic() - began, why=why)


def _timed(*arguments: str) -> float:
    """The seconds that a command takes."""
    began = time.monotonic()
    done = _run(*arguments)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "regard", *arguments], capture_output=True, text=True, check=False)


def _killed(seconds: float, *arguments: str) -> None:
    """Start a command and kill it with all that it started."""
    started = subprocess.Popen(
        [sys.executable, "-m", "regard", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        started.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def _same_weights(run: Path, other: Path) -> bool:
    """Whether two runs ended with the same best model, and judged the same epochs."""
    ours, theirs = (load_file(each / "best" / "weights.safetensors") for each in (run, other))
    logs = [(each / "log.jsonl").read_text(encoding="utf-8").splitlines() for each in (run, other)]
    judged = [{json.loads(line)["step"] for line in log} for log in logs]
    same = ours.keys() == theirs.keys() and all(ours[name].equal(theirs[name]) for name in ours)
    return same and judged[0] == judged[1]


def _recipe(folder: Path) -> Path:
    """A small translator and its data."""
    pairs = [f"{subject} {deed}" for subject in SUBJECTS for deed in DEEDS]
    for split in ("train", "val"):
        (folder / f"{split}.en").write_text("\n".join(pairs) + "\n", encoding="utf-8")
        (folder / f"{split}.de").write_text("\n".join(pair[::-1] for pair in pairs) + "\n", encoding="utf-8")
    values = {
        "name": "kills",
        "data": {"format": "parallel", "folder": str(folder), "source": "en", "target": "de", "codec": {"size": 300}},
        "model": {
            "encoder": {"name": "recurrent", "embedding": 16, "hidden": 16},
            "decoder": {"name": "rnnsearch", "embedding": 16, "hidden": 16, "readout": 16, "attention": 16},
        },
        "phases": [{"epochs": 20, "tokens": 200}],
        "search": {"beam": 2, "max_length": 30},
    }
    values["data"]["codec"]["name"] = "subwords"
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path
