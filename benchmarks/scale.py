"""How training and captioning scale with processes and with the nodes of a Ray cluster.

    python benchmarks/scale.py train SIZE PROCESSES     a Transformer of this width, in so many processes
    python benchmarks/scale.py caption RUNNER COUNT     photos, with RUNNER workers (1: none) or ray (COUNT nodes)

Each prints one row of Markdown for docs/scale.md. Time is processor time, so that other work on the machine hardly
changes it: of the slowest process of a training, and of each part of a captioning.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

STEPS, SENTENCES, LENGTH, WORDS = 10, 60, 20, 2000
PHOTOS, CHUNK = 256, 32
MODEL = "everyday"


def train_row(size: int, processes: int) -> str:
    """Processor time of a step and memory of a process, at their largest over the processes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = write_recipe(folder, size)
        command = [sys.executable]
        if processes > 1:
            command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        subprocess.run([*command, __file__, "measure", str(recipe), str(folder / "run")], check=True)
        measured = [json.loads(path.read_text()) for path in folder.glob("measured-*.json")]
    assert len(measured) == processes
    figures = {name: max(each[name] for each in measured) for name in measured[0]}
    millions, step = figures["parameters"] / 1e6, figures["step"]
    return f"| {size} | {millions:.2f} | {processes} | {step:.3f} | {figures['before']:.0f} | {figures['peak']:.0f} |"


def write_recipe(folder: Path, size: int) -> Path:
    """A recipe of a few steps, each of as many tokens, and made-up sentences for it."""
    chance = random.Random(1)
    for split, count in (("train", STEPS * SENTENCES), ("val", 4)):
        for language in ("en", "de"):
            lines = (" ".join(f"{language}{chance.randrange(WORDS)}" for _ in range(LENGTH)) for _ in range(count))
            (folder / f"{split}.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    part = {"name": "transformer", "dim": size, "layers": 3, "heads": 4, "feed_forward": 2 * size, "dropout": 0.1}
    data = {"format": "parallel", "folder": str(folder), "source": "en", "target": "de", "codec": {"name": "words"}}
    values = {
        "name": "scale",
        "data": {**data, "joint": False},
        "model": {"encoder": part, "decoder": part},
        "phases": [{"epochs": 1, "batch": SENTENCES}],
        "search": {"beam": 1, "max_length": 3},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def measure(recipe: Path, run: Path) -> None:
    """Train in this process, and write down what its steps took."""
    import torch

    from regard.training import loop
    from regard.training.distributed import process_group, rank
    from regard.training.run import train
    from regard.training.step import TrainingStep

    figures: dict[str, float] = {}
    times: list[float] = []
    backward: Callable[..., Any] = TrainingStep.backward

    def timed(step: TrainingStep, *arguments: Any, **options: Any) -> Any:
        figures.setdefault("before", peak())
        began = time.process_time()
        numbers = backward(step, *arguments, **options)
        times.append(time.process_time() - began)
        figures["parameters"] = sum(each.numel() for group in step.optimizer.param_groups for each in group["params"])
        figures["peak"] = peak()
        return numbers

    TrainingStep.backward = timed  # type: ignore[method-assign]
    loop.CHECKPOINT_SECONDS = 1e9
    with process_group(torch.device("cpu")):
        train(recipe, run)
        figures["step"] = sorted(times[1:])[len(times) // 2]
        (run.parent / f"measured-{rank()}.json").write_text(json.dumps(figures))


def peak() -> float:
    """The most memory that this process has held, in MB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def caption_row(runner: str, count: int) -> str:
    """Photos a second of processor time, of this process and of the busiest one that it shares the work with."""
    with tempfile.TemporaryDirectory() as name:
        paths = write_photos(Path(name))
        began = time.process_time()
        shares = list(on_ray(paths, count) if runner == "ray" else on_workers(paths, count))
        own = time.process_time() - began
    parts = max(shares) if shares else 0.0
    of_others = f"{parts:.1f}" if shares else "–"
    return f"| {runner} | {count} | {own:.1f} | {of_others} | {PHOTOS / max(own, parts):.0f} |"


def write_photos(folder: Path) -> list[str]:
    """Photos of 500 × 375, of noise that is as hard to decode as a photo."""
    paths = []
    for number in range(PHOTOS):
        paths.append(str(folder / f"{number}.jpg"))
        Image.effect_noise((100, 75), 60 + number % 60).resize((500, 375)).convert("RGB").save(paths[-1], quality=85)
    return paths


def on_workers(paths: Sequence[str], count: int) -> Iterator[float]:
    """The processor time of each worker process."""
    from regard.pipeline import load_captioner

    with load_captioner(MODEL, threads=count, workers=count) as captioner:
        began = {}
        for number, _ in enumerate(captioner.caption_many(paths, batch=CHUNK)):
            if not number:
                began = processor_times()
        ended = processor_times()
    yield from (seconds - began.get(process, 0) for process, seconds in ended.items())


def processor_times() -> dict[int, float]:
    """Of the processes that this one has started, by their numbers."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {int(child): time.clock_gettime((~int(child) << 3) | 2) for child in children}


def on_ray(paths: Sequence[str], nodes: int) -> Iterator[float]:
    """The processor time of the actor on each node."""
    from ray.cluster_utils import Cluster

    from regard.compute import ComputeOptions
    from regard.parallel.ray_data import map_on_ray
    from regard.pipeline.loading import ModelLoader
    from regard.saved.bundle import find_bundle

    node = {"num_cpus": 1, "object_store_memory": 200 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    for _ in range(nodes - 1):
        cluster.add_node(**node)
    os.environ["RAY_ADDRESS"] = cluster.address
    load = ModelLoader(str(find_bundle(MODEL).absolute()), ComputeOptions(threads=1))
    chunks = [paths[first : first + CHUNK] for first in range(0, len(paths), CHUNK)]
    spent: dict[int, float] = {}
    for process, seconds in map_on_ray(load, timed_captions, chunks):
        spent[process] = spent.get(process, 0.0) + seconds
    cluster.shutdown()
    yield from spent.values()


def timed_captions(captioner: Any, paths: Sequence[str]) -> tuple[int, float]:
    """The process that has described a chunk, and its processor time."""
    began = time.process_time()
    for _ in captioner.caption_many(paths, batch=CHUNK):
        pass
    return os.getpid(), time.process_time() - began


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["train", size, processes]:
            print(train_row(int(size), int(processes)))
        case ["measure", recipe, run]:
            measure(Path(recipe), Path(run))
        case ["caption", runner, count]:
            print(caption_row(runner, int(count)))
        case _:
            sys.exit(__doc__)
