"""Worker processes: the same results in the same order, and none that outlives its work or dies in silence."""

from __future__ import annotations

import gc
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from regard.compute import ComputeOptions
from regard.errors import ConfigError, ModelError, WorkerError
from regard.parallel import workers as module
from regard.parallel.workers import Workers, WorkSharing
from regard.pipeline import load, load_captioner, load_translator
from regard.pipeline.loading import ModelLoader
from regard.results import Caption, Translation
from regard.saved.bundle import Bundle, save_bundle

PROGRAM = """
import os, pickle, sys, time
from regard.errors import ModelError
loading = pickle.load(sys.stdin.buffer)
def send(value):
    pickle.dump(value, sys.stdout.buffer)
    sys.stdout.buffer.flush()
send(ModelError("no such model") if loading == "gone" else os._exit(3) if loading == "crash" else None)
while True:
    try:
        name, arguments = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    number = arguments[0]
    if number == "refuse":
        send(ModelError("cannot do it"))
    if number == "environment":
        number = os.environ.get("LRU_CACHE_CAPACITY")
    if number == "fail":
        raise ValueError("no such  layer")
    if number == "kill":
        os.kill(os.getpid(), 9)
    if loading == "uneven":
        time.sleep(0.02 * (number % 3))
    if loading == "slow" and number > 3:
        time.sleep(60)
    send((name, number, os.getpid()))
"""
"""Answers as a worker does, without a model: it is there at once."""


class Asked(WorkSharing):
    def __init__(self, loading: Any = "plain", *, num: int = 2) -> None:
        self.workers = Workers(loading, count=num)
        super().__init__(self.workers)

    def work(self, number: Any) -> tuple[str, Any, int]:
        return "work", number, os.getpid()

    def ask(self, numbers: Any) -> Iterator[tuple[str, Any, int]]:
        return self.share(self.work, ((number,) for number in numbers))


@pytest.fixture
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROGRAM", PROGRAM)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.usefixtures("_light")
@pytest.mark.parametrize("num", [2, 3])
def test_answers_come_in_order_from_all_workers_and_few_are_asked_for_ahead(num: int) -> None:
    made: list[int] = []
    with Asked("uneven", num=num) as asked:
        for place, (name, number, _) in enumerate(asked.ask(made.append(i) or i for i in range(30))):
            assert (name, number) == ("work", place)
            assert len(made) <= place + num + 3
        pids = {pid for *_, pid in asked.ask(range(20))}
        assert os.getpid() not in pids
        assert pids == {pid for *_, pid in asked.ask(range(20))}, "they stay for the next work"
        assert len(pids) == num
    assert not any(map(is_alive, pids))


@pytest.mark.usefixtures("_light")
def test_workers_have_the_environment_of_the_process_that_starts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "123")
    with Asked() as asked:
        assert [found for _, found, _ in asked.ask(["environment"] * 3)] == ["123"] * 3


@pytest.mark.usefixtures("_light")
def test_what_is_one_batch_starts_no_process() -> None:
    with Asked() as asked:
        assert list(asked.ask([])) == []
        assert list(asked.ask([7])) == [("work", 7, os.getpid())]
        assert not asked.workers._alive


@pytest.mark.usefixtures("_light")
def test_workers_are_even_loaded() -> None:
    asked = Asked(num=2)
    for total, batch in ((40, 64), (65, 64), (200, 64), (1014, 64), (130, 64), (1024, 64)):
        size = asked._balanced_batch(total, batch)
        sizes = [min(size, total - first) for first in range(0, total, size)]
        assert size <= batch
        assert total <= batch or len(sizes) % 2 == 0
        assert max(sizes) - min(sizes) <= len(sizes)
    assert Asked(num=16)._balanced_batch(100, 64) == 16
    assert asked._balanced_batch(9, 4) == 4
    assert WorkSharing(None)._balanced_batch(100, 64) == 64


@pytest.mark.usefixtures("_light")
def test_works_may_be_under_way_at_the_same_time() -> None:
    with Asked() as asked:
        pairs = list(zip(asked.ask(range(9)), asked.ask(range(9)), strict=True))
        assert [(one[1], other[1]) for one, other in pairs] == [(number, number) for number in range(9)]
        assert not {pid for (*_, pid), _ in pairs} & {pid for _, (*_, pid) in pairs}


@pytest.mark.usefixtures("_light")
def test_who_stops_asking_ends_the_workers_at_once() -> None:
    with Asked("slow") as asked:
        began = time.monotonic()
        answers = asked.ask(count())
        pids = {pid for *_, pid in islice(answers, 4)}
        answers.close()
        assert not any(map(is_alive, pids))
        interrupted = asked.ask(stopping_after(6))
        pids = {next(interrupted)[2]}
        with pytest.raises(KeyboardInterrupt):
            list(interrupted)
        assert not any(map(is_alive, pids))
        assert [number for _, number, _ in asked.ask(range(3))] == [0, 1, 2], "the next work starts others"
        assert time.monotonic() - began < 20


def stopping_after(number: int) -> Iterator[int]:
    yield from range(number)
    raise KeyboardInterrupt


@pytest.mark.usefixtures("_light")
def test_workers_end_with_what_they_work_for() -> None:
    asked = Asked()
    asked.start_workers()
    pids = [worker._process.pid for worker in asked.workers._alive]
    assert len(pids) == 2
    del asked
    gc.collect()
    assert not any(map(is_alive, pids))


@pytest.mark.usefixtures("_light")
@pytest.mark.parametrize(
    ("loading", "last", "message"),
    [
        ("plain", "fail", "a worker process failed: ValueError: no such layer; without workers"),
        (
            "plain",
            "kill",
            "a worker process was ended from outside by signal 9 (Killed); if nobody ended it, memory ran out",
        ),
        ("crash", 8, "a worker process failed: exit status 3"),
    ],
)
def test_a_worker_that_ends_is_told_in_one_line(loading: str, last: Any, message: str) -> None:
    given: list[Any] = []
    with Asked(loading) as asked, pytest.raises(WorkerError) as caught:
        given.extend(asked.ask([0, 1, 2, 3, 4, last, *range(6, 20)]))
    assert [number for _, number, _ in given] == ([] if loading == "crash" else [0, 1, 2, 3, 4])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    notes = getattr(caught.value, "__notes__", [])
    assert any("Traceback" in note for note in notes) == (last == "fail")
    assert not asked.workers._alive


@pytest.mark.usefixtures("_light")
def test_no_thread_that_attends_a_worker_outlives_its_work() -> None:
    def attending() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == "regard-dispatcher"]

    asked = Asked()
    assert [number for _, number, _ in asked.ask(range(20))] == list(range(20))
    assert not attending()
    half = asked.ask(range(50))
    next(half)
    assert attending()
    half.close()
    assert not attending()
    next(left := asked.ask(range(50)))
    asked.close()
    assert not attending()
    del left


@pytest.mark.usefixtures("_light")
def test_what_a_worker_raises_is_raised_as_itself() -> None:
    with Asked() as asked, pytest.raises(ModelError, match=r"^cannot do it$"):
        list(asked.ask([1, 2, "refuse", 3, 4, 5]))
    with Asked("gone") as asked:
        with pytest.raises(ModelError, match=r"^no such model$"):
            list(asked.ask(range(5)))
        with pytest.raises(ModelError, match=r"^no such model$"):
            asked.start_workers()
        assert not asked.workers._alive


@pytest.mark.usefixtures("_light")
def test_what_cannot_be_sent_stops_the_work() -> None:
    with Asked() as asked, pytest.raises((TypeError, AttributeError), match="pickle"):
        list(asked.ask([1, lambda: None, 2]))


@pytest.mark.usefixtures("_light")
def test_a_process_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(WorkerError, match="a worker process cannot be started"):
        list(Asked().ask(range(5)))


# a command in the background, as continuous integration may run this, begins with Ctrl-C ignored
PARENT = f"""
import os, signal, sys
from regard.parallel import workers
signal.signal(signal.SIGINT, signal.default_int_handler)
workers.PROGRAM = {PROGRAM!r}
crew = workers.Workers("slow", count=2)
def work(number): ...
for _, number, pid in crew.run(work, ((i,) for i in range(100))):
    print(pid, flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_process_that_asked(how: signal.Signals) -> None:
    """Ctrl-C goes to the whole group of a command; a killed command can say nothing any more."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT.replace("time.sleep(60)", "time.sleep(1)")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        pids = {int(parent.stdout.readline()) for _ in range(4)}
        os.killpg(parent.pid, how)
        _, complaints = parent.communicate(timeout=30)
    assert complaints.count("Traceback") == (how == signal.SIGINT), "of the command alone"
    deadline = time.monotonic() + 10
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, pids))


TEXTS = ["A dog runs.", "", "Two dogs sit near a car. A girl runs.", "half \ud800", "Some people jump over a log."]


@pytest.fixture(scope="module")
def speaker(tiny_translator: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bundle(tiny_translator, tmp_path_factory.mktemp("models") / "speaker", precision="float32")


def test_translations_are_those_of_one_process(speaker: Path) -> None:
    """With real workers: what is drawn at random too, errors in place, and a search that cannot be done."""
    alone = load_translator(speaker)
    with load_translator(speaker, workers=2) as shared:
        for given in (TEXTS * 5, TEXTS * 30):
            for options in ({}, {"samples": 2, "first": 3}, {"prefix": "A", "alternatives": 1}):
                expected = list(alone.translate_many(given, batch=16, **options))
                results = list(shared.translate_many(given, batch=16, **options))
                for one, other in zip(expected, results, strict=True):
                    assert type(one) is type(other)
                    if isinstance(one, Translation) and isinstance(other, Translation):
                        assert alike(one.to_dict(), other.to_dict())
                    else:
                        assert str(one) == str(other)
        with pytest.raises(ConfigError, match="fills max_length"):
            list(shared.translate_many(TEXTS * 9, batch=4, prefix="A dog runs on the beach near a red car."))


def alike(one: Any, other: Any) -> bool:
    """Equal, numbers within rounding."""
    match one, other:
        case float(), float():
            return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-4)
        case list(), list():
            return len(one) == len(other) and all(map(alike, one, other))
        case dict(), dict():
            return list(one) == list(other) and all(map(alike, one.values(), other.values()))
        case _:
            return bool(one == other)


def test_captions_are_those_of_one_process(tiny_captioner: Bundle, tmp_path: Path) -> None:
    """With real workers, whatever a picture is given as; no photo is sent."""
    saved = save_bundle(tiny_captioner, tmp_path / "looker", precision="float32")
    rng = np.random.default_rng(4)
    arrays = [rng.integers(0, 256, (61 + 9 * i, 83, 3), dtype=np.uint8) for i in range(5)]
    Image.fromarray(arrays[0]).save(tmp_path / "a.png")
    given = [*arrays, tmp_path / "a.png", "gone.jpg", Image.fromarray(arrays[1]), *arrays, tmp_path / "a.png"]
    alone = load_captioner(saved)
    with load_captioner(saved, workers=2) as shared:
        for options in ({}, {"samples": 1}):
            expected = list(alone.caption_many(given, batch=4, **options))
            results = list(shared.caption_many(given, batch=4, **options))
            for one, other in zip(expected, results, strict=True):
                assert type(one) is type(other)
                if isinstance(one, Caption) and isinstance(other, Caption):
                    assert alike(one.to_dict(), other.to_dict())
                    assert np.array_equal(one.photo, other.photo)
                else:
                    assert str(one) == str(other)
        assert len({worker._process.pid for worker in shared._workers._alive}) == 2


def test_a_model_that_is_gone_is_told_as_itself(speaker: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(speaker, tmp_path / "model")
    with load_translator(moved, workers=2) as translator:
        shutil.rmtree(moved)
        with pytest.raises(ModelError, match="model: no such model"):
            list(translator.translate_many(TEXTS * 9, batch=4))


def test_what_cannot_be_used_is_told(speaker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for workers in (-1, 0, 9):
        with pytest.raises(ConfigError, match=f"{workers} workers; allowed: 1 to 8, and one for each"):
            load(speaker, workers=workers)
    monkeypatch.setattr("regard.pipeline.loading.resolve_device", torch.device)
    with pytest.raises(ConfigError, match="2 workers with device 'cuda:1'; allowed: 1, or the device cpu"):
        load(speaker, workers=2, device="cuda:1")


def test_workers_share_the_threads_and_load_the_same(
    tiny_captioner: Bundle, speaker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looker = save_bundle(tiny_captioner, tmp_path / "looker")
    loaded: list[ModelLoader] = []
    monkeypatch.setattr("regard.pipeline.loading.Workers", lambda load, *, count: loaded.append(load))
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    load(looker, threads=7, workers=3, precision="bfloat16")
    load(speaker, workers=9)
    assert loaded == [
        ModelLoader(str(looker), ComputeOptions(threads=2, precision="bfloat16")),
        ModelLoader(str(speaker), ComputeOptions(threads=1)),
    ]
