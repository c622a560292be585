"""Killed at any moment, the same command ends in the same bytes.

A child is forked after all imports, so that a run costs what it computes. The moment of a kill is drawn in the child's
own processor time, and so falls anywhere in it however busy the machine is. ``REGARD_KILLS`` sets how many kills there
are; ``make test-hostile`` asks for the full counts.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml
from PIL import Image
from safetensors.torch import load_file

from regard.cli import caption_file, main
from regard.saved.bundle import Bundle, save_bundle
from regard.training import loop
from regard.training.checkpoint import CHECKPOINT
from regard.training.recipe import Recipe

FULL = 10
"""From so many kills on there are 5,000 photos."""
KILLS = int(os.environ.get("REGARD_KILLS", "4"))
MOST_OF_CAPTIONS = 30
KILLED = {130, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT}
"""Stopped with a word, or killed; whatever else a command ends with is a defect."""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LEFT_HANGING = 600
"""Seconds of silence after which a child counts as hanging."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads the processor time of a child")


def forked(arguments: Sequence[str]) -> int:
    """Start ``regard ARGUMENTS`` in a fork; returns its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forks where there are threads, which use nothing that is held here
        child = os.fork()
    if child:
        return child
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(silence, stream)
        os._exit(main(arguments))
    except KeyboardInterrupt:  # before the command began
        os._exit(130)
    finally:
        os._exit(99)


def run(arguments: Sequence[str], *, kill: tuple[float, signal.Signals] | None = None) -> tuple[int, float]:
    """Run to the end, or to a moment in the child's processor time at which it gets a signal.

    Returns:
        How it ended, as :func:`os.waitstatus_to_exitcode` says it, and its processor time in seconds.
    """
    child, began = forked(arguments), time.monotonic()
    clock, seconds = (~child << 3) | 2, 0.0  # clock_getcpuclockid(3) of Linux
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), seconds
        seconds = time.clock_gettime(clock)
        if kill is not None and seconds >= kill[0]:
            os.kill(child, kill[1])
            kill = None
        if time.monotonic() - began > LEFT_HANGING:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)


def kill_until_done(
    arguments: Sequence[str], *, seconds: float, kills: int, done: Callable[[], None], through: int = 0
) -> list[int]:
    """Run a command again and again, a kill at a random moment each time; ``done`` is called whenever it got through.

    Args:
        arguments: of ``regard``.
        seconds: processor time that the command takes undisturbed.
        kills: how many runs shall have been cut short.
        done: checks what a run that got through has left, and removes it.
        through: the exit status of a run that got through.

    Returns:
        How each of the runs that were cut short ended.
    """
    chance, cut_short = random.Random(7), []
    while len(cut_short) < kills:
        moment = (chance.uniform(0, seconds), chance.choice(SIGNALS))
        status, _ = run(arguments, kill=moment)
        if status == through:
            done()
        else:
            cut_short.append(status)
    assert run(arguments)[0] == through
    done()
    return cut_short


def test_a_training_that_is_killed_anywhere_ends_in_the_same_bits(
    tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    recipe, whole, parts = (tmp_path / name for name in ("recipe.yaml", "whole", "parts"))
    recipe.write_text(yaml.safe_dump(tiny_recipe.model_dump(mode="json")), encoding="utf-8")
    command = ["train", str(recipe), "--cache", str(tmp_path / "cache"), "--output"]
    status, seconds = run([*command, str(whole)])
    assert status == 0

    def judged(folder: Path) -> dict[int, dict[str, object]]:
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        return {line["step"]: {k: v for k, v in line.items() if k != "tokens_per_second"} for line in lines}

    def compare() -> None:
        ours, theirs = (load_file(folder / CHECKPOINT) for folder in (parts, whole))
        assert ours.keys() == theirs.keys()
        assert all(tensor.equal(theirs[name]) for name, tensor in ours.items())
        best = [(folder / "best" / "weights.safetensors").read_bytes() for folder in (parts, whole)]
        assert best[0] == best[1]
        assert judged(parts) == judged(whole)
        parts.rename(tmp_path / f"done-{len(list(tmp_path.glob('done-*')))}")

    ends = kill_until_done([*command, str(parts)], seconds=seconds, kills=KILLS, done=compare)
    assert set(ends) <= KILLED


HOSTILE_NAMES = (
    *("with space.png", " leading.png", "-dash.png", "--output.png", 'comma,quote".png', "line\nend.png", "tab\t.png"),
    *("tick`$(x).png", "percent%s{}.png", "stars[*]?.png", "combining e\u0301.png", "rtl \u202e.png", "emoji 🐕.png"),
    *("é" * 120 + ".png", "a" * 240 + ".png", os.fsdecode(b"not utf-8 \xff.png"), "line\u2028separator.png", "'.png"),
)


def make_photos(folder: Path, count: int) -> None:
    """Small pictures under hostile names, one in a hundred broken in one of four ways."""
    folder.mkdir()
    whole = io.BytesIO()
    for number in range(count):
        name = f"{number:05}" + HOSTILE_NAMES[number % len(HOSTILE_NAMES)][: 200 if number % 2 else None]
        whole.seek(0)
        whole.truncate()
        colours = [(number * step) % 256 for step in (7, 31, 101)]
        Image.new("RGB", (32, 24), tuple(colours)).save(whole, "PNG")
        content = whole.getvalue()
        if number % 100 == 42:
            content = (b"", content[:-30], b"no picture", b"\0" * 500)[number // 100 % 4]
        (folder / name).write_bytes(content)


def test_captions_of_a_folder_that_are_killed_anywhere_end_in_the_same_bytes(
    tiny_captioner: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 5000 if KILLS >= FULL else 160
    if count < 5000:
        monkeypatch.setattr(caption_file, "CHUNK", 16)
    photos, model, whole, parts = (tmp_path / name for name in ("photos", "model", "whole.jsonl", "parts.jsonl"))
    make_photos(photos, count)
    save_bundle(tiny_captioner, model)
    command = ["caption", str(photos), "--model", str(model), "--threads", "1", "--output"]
    status, seconds = run([*command, str(whole)])
    assert status == 1, "some are broken"
    rows = [json.loads(line) for line in whole.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == count
    assert sum("error" in row for row in rows) == len(range(42, count, 100))

    def compare() -> None:
        assert parts.read_bytes() == whole.read_bytes()
        parts.rename(tmp_path / "done.jsonl")

    kills = min(KILLS, MOST_OF_CAPTIONS)
    ends = kill_until_done([*command, str(parts)], seconds=seconds, kills=kills, done=compare, through=1)
    assert set(ends) <= KILLED
    assert not list(tmp_path.glob("parts*")), "nothing is left beside the file"
