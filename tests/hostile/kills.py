"""Kills at any moment, while training and while translating a file; and the ends of commands with workers."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from outcome import ANSWERED, FAILED, Outcomes
from PIL import Image
from safetensors.torch import load_file

SUBJECTS = ("A dog", "Two cats", "A man in red", "Some people", "A brown horse")
DEEDS = ("runs on the beach.", "sit near a car.", "jumps over a log.", "looks at the sea.")


def attack_training(count: int, chance: random.Random, outcomes: Outcomes) -> None:
    """Kill a run ``count`` times at random moments; the model is that of a run that was never killed, bit for bit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = _recipe(folder)
        began = time.monotonic()
        _run("train", str(recipe), "--output", str(folder / "whole"))
        whole = time.monotonic() - began
        for number in range(count):
            run = folder / f"killed-{number % 5}"
            _killed(chance.uniform(0.2, 1) * whole, "train", str(recipe), "--output", str(run))
            if number % 5 < 4 and number < count - 1:
                outcomes.add(ANSWERED, f"kill {number}")
                continue
            for each in sorted(folder.glob("killed-*")):
                done = _run("train", str(recipe), "--output", str(each))
                same = done.returncode == 0 and _same_weights(each, folder / "whole")
                outcomes.add(ANSWERED if same else FAILED, f"the run after kill {number}", why=done.stderr[-300:])
                _run("--version")
                subprocess.run(["rm", "-rf", str(each)], check=True)


def attack_translating(count: int, chance: random.Random, outcomes: Outcomes) -> None:
    """Kill the translation of a file at random moments until it is done; its lines are those of one never killed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [f"{chance.choice(SUBJECTS)} {chance.choice(DEEDS)} {number}" for number in range(3000)]
        (folder / "in.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        began = time.monotonic()
        _run("translate", "--file", str(folder / "in.txt"), "--output", str(folder / "whole.txt"))
        whole = time.monotonic() - began
        kills = 0
        while kills < count:
            output = folder / "out.txt"
            output.unlink(missing_ok=True)
            while not output.exists() and kills < count:
                kills += 1
                seconds = chance.uniform(0.1, 0.8) * whole
                _killed(seconds, "translate", "--file", str(folder / "in.txt"), "--output", str(output))
                outcomes.add(ANSWERED, f"kill {kills}")
            done = _run("translate", "--file", str(folder / "in.txt"), "--output", str(output))
            same = done.returncode == 0 and output.read_bytes() == (folder / "whole.txt").read_bytes()
            outcomes.add(ANSWERED if same else FAILED, f"the file after kill {kills}", why=done.stderr[-300:])


def attack_exits(count: int, chance: random.Random, outcomes: Outcomes) -> None:
    """Describe small pictures with two workers, again and again: the exit status is 0 and every line is there."""
    with tempfile.TemporaryDirectory() as name:
        for number in range(70):
            Image.effect_noise((40 + number, 50), 80).convert("RGB").save(Path(name) / f"{number:03}.png")
        for number in range(count):
            began = time.monotonic()
            done = _run("caption", "--workers", "2", name)
            whole = done.returncode == 0 and len(done.stdout.splitlines()) == 70
            why = f"exit {done.returncode}: {done.stderr[-300:]}"
            outcomes.add(ANSWERED if whole else FAILED, f"run {number}", seconds=time.monotonic() - began, why=why)


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
