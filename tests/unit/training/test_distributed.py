"""Micro-batches and processes change nothing but the last digits of the weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file

from regard.config import parse
from regard.errors import ConfigError
from regard.training.checkpoint import CHECKPOINT
from regard.training.micro_batches import own_micro_batches
from regard.training.recipe import Recipe
from regard.training.run import train

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "regard"]


def changed(recipe: Recipe, *, dropout: float, **phase: Any) -> Recipe:
    """The recipe with this dropout, and its phases changed."""
    values = recipe.model_dump(mode="json")
    values["model"]["decoder"]["dropout"] = dropout
    values["phases"] = [{**each, **phase} for each in values["phases"]]
    return parse(Recipe, values, origin="the test")


def start_two_processes(recipe: Recipe, folder: Path) -> subprocess.Popen[str]:
    """``torchrun --nproc-per-node 2 -m regard train RECIPE``."""
    path = folder.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")), encoding="utf-8")
    command = [*TORCHRUN, "train", str(path), "--output", str(folder), "--cache", str(folder.parent / "cache")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def train_in_two_processes(recipe: Recipe, folder: Path) -> str:
    """Train to the end; returns what was said on standard error."""
    with start_two_processes(recipe, folder) as process:
        said, complaints = process.communicate(timeout=600)
    assert process.returncode == 0, complaints
    assert said.startswith(str(folder)), "the first process alone says what was reached"
    assert said.count("\n") == 1
    return complaints


def largest_difference(run: Path, other: Path) -> float:
    """Between the weights that two runs ended with."""
    ours, theirs = (load_file(folder / CHECKPOINT) for folder in (run, other))
    weights = [name for name in ours if name.startswith("model.") and ours[name].is_floating_point()]
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in weights)


@pytest.mark.parametrize("recipe", ["tiny_recipe", "tiny_translation_recipe"])
def test_parts_of_a_batch_give_the_weights_of_the_whole(
    recipe: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # without dropout, whose masks belong to a part; both recipes have both objectives
    whole, parts = (changed(request.getfixturevalue(recipe), dropout=0.0, accumulate=n) for n in (1, 3))
    for each, name in ((whole, "whole"), (parts, "parts")):
        train(each, tmp_path / name, cache=tmp_path / "cache")
    assert largest_difference(tmp_path / "whole", tmp_path / "parts") < 1e-5


def test_two_processes_reach_the_weights_of_one(tiny_recipe: Recipe, tmp_path: Path) -> None:
    # a step of 2 or 1 images, so that the second process sometimes has none; without dropout
    recipe = changed(tiny_recipe, dropout=0.0)
    train(recipe, tmp_path / "one", cache=tmp_path / "cache")
    train_in_two_processes(recipe, tmp_path / "two")
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 1e-5


def test_two_processes_share_the_parts_of_one_with_their_dropout(
    tiny_translation_recipe: Recipe, tmp_path: Path
) -> None:
    recipe = changed(tiny_translation_recipe, dropout=0.3, accumulate=4)
    train(recipe, tmp_path / "one")
    train_in_two_processes(recipe, tmp_path / "two")
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 1e-5


def test_a_process_that_is_killed_ends_all_with_one_line_and_one_alone_goes_on(
    tiny_translation_recipe: Recipe, tmp_path: Path
) -> None:
    recipe = changed(tiny_translation_recipe, dropout=0.0, epochs=6)
    with start_two_processes(recipe, tmp_path / "two") as started:
        while not (tmp_path / "two" / CHECKPOINT).exists():
            assert started.poll() is None, started.communicate()
            time.sleep(0.05)
        children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
        os.kill(int(children[-1]), signal.SIGKILL)
        complaints = started.communicate(timeout=600)[1]
    assert started.returncode
    assert len([line for line in complaints.splitlines() if line.startswith("error: ")]) == 1, complaints
    for folder in ("two", "one"):
        train(recipe, tmp_path / folder)
    assert largest_difference(tmp_path / "two", tmp_path / "one") < 1e-5


def test_every_part_knows_its_share_of_the_step() -> None:
    targets = [[[4, 5, 6], [4]], [[7, 7]], [[8]], [[9, 9, 9, 9]]]
    parts = own_micro_batches([0, 3, 2], targets, accumulate=2, entropy=[1, 2])
    assert [part.inputs for part in parts] == [[0, 2], [3]]
    assert [part.tokens for part in parts] == [8 / 13, 5 / 13]
    assert [part.captions for part in parts] == [3 / 4, 1 / 4]
    assert [part.share for part in parts] == [2 / 3, 1 / 3]
    assert len({part.seed for part in parts}) == 2
    assert len({part.step_seed for part in parts}) == 1
    spare = own_micro_batches([1], targets, accumulate=2, entropy=[1, 2])[1]
    assert (spare.inputs, spare.tokens, spare.captions, spare.share) == ([1], 0, 0, 0)


def test_float16_is_refused_on_processors(tiny_recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a phase in float16 cannot train on cpu; allowed: float32, bfloat16"):
        train(changed(tiny_recipe, dropout=0.0, precision="float16"), tmp_path / "run")
