"""All benchmarks side by side with their peers: one table, and the page docs/performance.md.

    make bench                                             (everything; writes the page)
    python benchmarks/run.py --only train-49 search        (some; prints the table alone)
    python benchmarks/run.py --quick                       (tiny work, to try the programs)

Each benchmark runs in a process of its own, one after the other, within what is left of the time: one that fails or
takes too long leaves rows that say so.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

import caption_photos
import gpu
import scaling
import search_features
import train_attend
import train_rnnsearch
import translate
from inputs import ROOT
from page import Report, table, write_page
from regard.cli.memory import FEW_PRIMITIVES, LARGE_PAGES
from regard.evaluation.compare.machine import describe_machine, describe_versions
from rows import Conditions, Outcome, unmeasured
from translation import PEER

PAGE = ROOT / "docs" / "performance.md"
LONGEST = 300.0
"""Seconds of one benchmark."""


class Benchmark(NamedTuple):
    """What measures, and the works with their peers that it measures."""

    measure: Callable[[Conditions], Outcome]
    works: Mapping[str, Sequence[str]]


def _benchmarks() -> dict[str, Benchmark]:
    attend: dict[str, Benchmark] = {}
    for grid in train_attend.GRIDS:
        regions = grid.split()[0]
        speeds = train_attend.works(grid)
        memories = {title.format(grid): [train_attend.PLAIN] for title in (train_attend.PEAK, train_attend.KEPT)}
        attend[f"train-{regions}"] = Benchmark(partial(train_attend.speed, grid=grid), speeds)
        attend[f"memory-{regions}"] = Benchmark(partial(train_attend.memory, grid=grid), memories)
    pictures: dict[str, list[str]] = {}
    for work, peer in caption_photos.pairs():
        pictures.setdefault(work, []).append(caption_photos.PEERS[peer])
    pictures[caption_photos.FOLDER].append(caption_photos.GRAPHS)
    return {
        **attend,
        "train-rnnsearch": Benchmark(
            train_rnnsearch.measure,
            {work: [PEER] for work in train_rnnsearch.WORKS},
        ),
        "search": Benchmark(
            search_features.measure,
            {
                search_features.WORK: [search_features.PLAIN, search_features.TEXTBOOK],
                search_features.WORKS["bfloat16"]: [search_features.PLAIN],
                search_features.WORKS["int8"]: [search_features.PLAIN],
                **{work: [search_features.PLAIN] for work in search_features.SHIPPED_WORKS.values()},
            },
        ),
        "photos": Benchmark(caption_photos.measure, pictures),
        "translate": Benchmark(translate.measure, {work: [PEER] for work in translate.WORKS}),
        "translate-shipped": Benchmark(
            translate.measure_shipped, {work: [translate.PLAIN] for work in translate.SHIPPED_WORKS}
        ),
        "gpu": Benchmark(gpu.measure, gpu.ROWS),
        "scaling": Benchmark(scaling.measure, {}),
    }


BENCHMARKS = _benchmarks()


def run_apart(name: str, conditions: Conditions, *, seconds: float) -> Outcome:
    """The outcome of a benchmark in a process of its own, or rows that say why there is none."""
    works = BENCHMARKS[name].works
    if seconds <= 0:
        return _failed(works, "the time of this run was over")
    command = [sys.executable, __file__, "--apart", name, "--threads", str(conditions.threads)]
    command += ["--repetitions", str(conditions.repetitions), *(["--quick"] if conditions.quick else [])]
    # both sides hold memory as the commands of regard do
    memory = FEW_PRIMITIVES | (LARGE_PAGES if name.startswith(("train", "memory")) else {})
    environment = {**memory, **os.environ, "OMP_NUM_THREADS": str(conditions.threads), "REGARD_REFERENCE": ""}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        said, complained = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return _failed(works, f"it took more than {seconds:.0f} seconds")
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    if process.returncode:
        lines = complained.strip().splitlines() or [f"it ended with {process.returncode}"]
        return _failed(works, " ".join(lines[-1].split())[:200])
    return Outcome.from_json(said.strip().splitlines()[-1])


def _failed(works: Mapping[str, Sequence[str]], reason: str) -> Outcome:
    return Outcome([row for work, peers in works.items() for row in unmeasured(work, peers, reason)])


def run_all(names: Sequence[str], conditions: Conditions, *, minutes: float, command: str) -> Report:
    """The benchmarks, one after the other."""
    began = time.monotonic()
    outcomes: dict[str, Outcome] = {}
    for name in names:
        left = 60 * minutes - (time.monotonic() - began)
        print(f"{name} …", file=sys.stderr, flush=True)
        outcomes[name] = run_apart(name, conditions, seconds=min(LONGEST, left))
    return Report(
        command=command,
        commit=_commit(),
        machine=describe_machine(),
        versions=describe_versions(),
        repetitions=conditions.repetitions,
        seconds=time.monotonic() - began,
        quick=conditions.quick,
        outcomes=outcomes,
    )


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    try:
        commit, changed = git("rev-parse", "--short", "HEAD"), git("status", "--porcelain", "--", "src", "benchmarks")
    except FileNotFoundError:
        return "unknown, git is not installed"
    return (commit or "unknown, not a checkout") + (" with changes" if changed else "")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, help="these benchmarks alone")
    parser.add_argument("--quick", action="store_true", help="tiny work; the figures say little")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="%(default)s unless given")
    parser.add_argument("--repetitions", type=int, default=3, help="%(default)s unless given")
    parser.add_argument("--minutes", type=float, default=20.0, help="for everything; %(default)s unless given")
    parser.add_argument(
        "--output", type=Path, help=f"the page; {PAGE.relative_to(ROOT)} when everything runs, else none"
    )
    parser.add_argument("--apart", choices=BENCHMARKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    conditions = Conditions(options.threads, options.repetitions, options.quick)
    torch.set_num_threads(options.threads)
    if options.apart:
        print(BENCHMARKS[options.apart].measure(conditions).to_json())
        return
    command = "make bench" if not sys.argv[1:] else shlex.join(["python", "benchmarks/run.py", *sys.argv[1:]])
    report = run_all(options.only or list(BENCHMARKS), conditions, minutes=options.minutes, command=command)
    print(table(report.rows))
    page = options.output or (None if options.only or options.quick else PAGE)
    if page is not None:
        for path in write_page(report, page):
            print(f"wrote {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
