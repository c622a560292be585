"""On a local Ray cluster of two nodes: the rows of one process, also where a worker is killed meanwhile."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from regard.cli import caption_file, main
from regard.compute import ComputeOptions
from regard.config import parse
from regard.model import EncoderDecoder, ModelSettings
from regard.pipeline import on_ray
from regard.saved.bundle import Bundle, save_bundle
from regard.search import SearchOptions
from regard.text import SubwordTokenizer, WordTokenizer

# a package of its own, whose warnings are not ours; what it starts may take long on a busy machine
pytestmark = pytest.mark.filterwarnings("ignore")
SENTENCES = [f"{who} {what}." for who in ("A dog", "Two cats", "A man in red") for what in ("runs", "sits on a car")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two nodes with one core each."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("the extra 'ray' is not installed")
    patience = {"RAY_raylet_start_wait_time_s": "300", "RAY_worker_register_timeout_seconds": "300"}
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {"RAY_USAGE_STATS_ENABLED": "0", **patience}.items():
            patched.setenv(name, value)
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
        nodes = Cluster(initialize_head=True, head_node_args=node)
        nodes.add_node(num_cpus=1, object_store_memory=80 * 2**20)
        patched.setenv("RAY_ADDRESS", nodes.address)
        yield nodes.address
        nodes.shutdown()


def save_model(folder: Path, settings: dict[str, Any], **parts: Any) -> Path:
    """An untrained model of these settings."""
    reads = parts["tokenizer"].size if "languages" in parts else 0
    model = EncoderDecoder(
        parse(ModelSettings, settings, origin="the test"),
        vocabulary_size=parts["tokenizer"].size,
        source_vocabulary_size=reads,
    )
    save_bundle(Bundle(model=model.eval(), search=SearchOptions(beam=2, max_length=6), **parts), folder)
    return folder


@pytest.fixture(scope="module")
def captioner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = {
        "encoder": {"name": "efficientnet_lite0", "layer": "stage3", "size": 64, "pool": 3, "weights": None},
        "bridge": {"dim": 12},
        "decoder": {"name": "attend", "embedding": 8, "hidden": 8, "attention": 8},
    }
    return save_model(
        tmp_path_factory.mktemp("models") / "captioner", settings, tokenizer=WordTokenizer.train(SENTENCES)
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty small pictures, two of them broken."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(40):
        Image.new("RGB", (32, 24), (6 * number, 90, 255 - 6 * number)).save(folder / f"{number:02} é.png")
    for number in (7, 30):
        (folder / f"{number:02} é.png").write_bytes(b"no picture")
    return folder


def test_captions_are_the_rows_of_one_process(
    cluster: str, captioner: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caption_file, "CHUNK", 8)
    command = ["caption", str(photos), "--model", str(captioner), "--threads", "1", "--output"]
    assert main([*command, str(tmp_path / "one.jsonl")]) == 1, "some are broken"
    assert main([*command, str(tmp_path / "ray.jsonl"), "--ray"]) == 1
    rows = (tmp_path / "ray.jsonl").read_bytes()
    assert rows == (tmp_path / "one.jsonl").read_bytes()
    assert sum("error" in json.loads(line) for line in rows.splitlines()) == 2


def test_a_worker_that_is_killed_costs_nothing(cluster: str, captioner: Path, photos: Path) -> None:
    paths = sorted(str(path) for path in photos.iterdir()) * 4
    chunks = [paths[first : first + 8] for first in range(0, len(paths), 8)]
    model = on_ray.RayModel(str(captioner), ComputeOptions())
    undisturbed = [str(each) for each in model.caption(chunks, {})]
    found, killed = [], 0
    for each in model.caption(chunks, {}):
        found.append(str(each))
        if len(found) == 1:
            killed = kill_workers()
    assert killed
    assert found == undisturbed


def kill_workers() -> int:
    """Kill the processes that hold models; returns how many there were."""
    holders = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if command.read_bytes().startswith(b"ray::") and b"Map" in command.read_bytes():
                holders.append(int(command.parent.name))
        except OSError:  # it has ended meanwhile
            continue
    for each in holders:
        os.kill(each, signal.SIGKILL)
    return len(holders)


def test_translations_are_the_lines_of_one_process(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "LINES", 512)
    settings = {
        "encoder": {"name": "recurrent", "embedding": 8, "hidden": 6},
        "decoder": {"name": "luong", "embedding": 8, "hidden": 10, "tied": False},
    }
    tokenizer = SubwordTokenizer.train(SENTENCES, size=300)
    languages = {"languages": ("en", "de"), "longest_source": 20}
    model = save_model(tmp_path / "translator", settings, tokenizer=tokenizer, **languages)
    (tmp_path / "in.txt").write_text("".join(f"{text}\n" for text in SENTENCES * 120), encoding="utf-8")
    command = ["translate", "--file", str(tmp_path / "in.txt"), "--model", str(model), "--threads", "1", "--output"]
    assert main([*command, str(tmp_path / "one.txt")]) == 0
    assert main([*command, str(tmp_path / "ray.txt"), "--ray"]) == 0
    assert (tmp_path / "ray.txt").read_bytes() == (tmp_path / "one.txt").read_bytes()
