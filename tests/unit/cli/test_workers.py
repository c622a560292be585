"""How a model computes is one parameter of a command and several options; workers change nothing but the time."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regard.cli import main
from regard.cli.progress import ShownProgress
from regard.compute import ComputeOptions
from regard.parallel import workers
from regard.pipeline import Captioner
from regard.pipeline.loading import ModelLoader
from regard.saved.bundle import load_bundle, save_bundle
from regard.text import Lexicon

pytestmark = pytest.mark.usefixtures("only_shipped")

LINES = ["a red cat", "", "two dogs run", "the mat sits", "word " * 30_000, "grass"] * 80


class InProcess(workers._Worker):
    """A worker without a process: what it is sent and what it responds travels as it would."""

    def __init__(self, loaded: list[ModelLoader]) -> None:
        self.loaded = loaded
        self._ready, self._dispatcher = True, None

    def load(self, load: ModelLoader) -> None:
        self.model = pickle.loads(pickle.dumps(load))()
        self.loaded.append(load)

    def call(self, request: tuple[str, tuple[Any, ...]]) -> Any:
        name, arguments = pickle.loads(pickle.dumps(request))
        return pickle.loads(pickle.dumps(getattr(self.model, name)(*arguments)))

    def kill(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[ModelLoader]:
    """What workers are told to load."""
    found: list[ModelLoader] = []
    monkeypatch.setattr(workers, "_Worker", lambda: InProcess(found))
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("".join(f"{each}\n" for each in LINES))
    return path


@pytest.fixture
def lister(shipped: Path, tmp_path: Path) -> str:
    """The translator with a lexicon."""
    bundle = load_bundle(shipped / "speaker")
    size = bundle.tokenizer.size
    pieces = np.random.default_rng(0).integers(4, size, 6 * size)
    lexicon = Lexicon(np.arange(6, 6 * size + 1, 6), pieces, np.empty(0, dtype=np.int64), size)
    return str(save_bundle(replace(bundle, lexicon=lexicon), tmp_path / "lister"))


def test_a_file_is_shared_and_goes_on_with_another_number_of_workers(
    file: Path,
    tmp_path: Path,
    loaded: list[ModelLoader],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["translate", "--file", str(file), "--set", "samples=1", "--json"]
    whole, parts = tmp_path / "whole.txt", tmp_path / "parts.txt"
    assert main([*command, "--output", str(whole)]) == 1
    assert not loaded
    complaints = capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(ShownProgress, "advance", stopping_after(len(LINES) // 2))
        assert main([*command, "--output", str(parts), "--workers", "2"]) == 130
    assert len(loaded) == 2
    assert f"stopped; {len(LINES) // 2} lines are done and kept in {parts}.part;" in capsys.readouterr().err
    assert main([*command, "--output", str(parts), "--workers", "3", "--threads", "3"]) == 1
    assert texts_of(parts) == texts_of(whole)
    assert complaints.count("150,000 characters") == len(LINES) // 6


def stopping_after(count: int) -> Callable[..., None]:
    """A bar that presses Ctrl-C once ``count`` units are done."""

    def advance(self: ShownProgress, units: int, note: str = "") -> None:
        nonlocal count
        count -= units
        if count <= 0:
            raise KeyboardInterrupt

    return advance


def texts_of(path: Path) -> list[str | None]:
    return [json.loads(line).get("text") for line in path.read_text().splitlines()]


def test_a_stop_before_the_first_line_keeps_nothing_and_says_so(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("regard.cli.commands.translate._counted", interrupted)
    assert main(["translate", "--file", str(file), "--output", str(tmp_path / "out.txt")]) == 130
    assert capsys.readouterr() == ("", "error: stopped before the first line was done\n")


def test_how_a_model_computes_reaches_every_worker(
    file: Path, lister: str, loaded: list[ModelLoader], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", lister, "--precision", "int8", "--shortlist"]
    assert main(["translate", "--file", str(file), *options]) == 1
    alone = capsys.readouterr().out
    assert main(["translate", "--file", str(file), *options, "--workers", "2", "--threads", "2"]) == 1
    assert capsys.readouterr().out == alone
    expected = ModelLoader(lister, ComputeOptions(threads=1, precision="int8", shortlist=True))
    assert loaded == [expected, expected]


def test_photos_are_shared_and_saved(
    tmp_path: Path, loaded: list[ModelLoader], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(5)
    for number in range(5):
        Image.fromarray(random.integers(0, 256, (30 + number, 20, 3), np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "2a.png").write_bytes(b"")
    monkeypatch.setitem(Captioner.caption_many.__kwdefaults__, "batch", 2)
    words = ["caption", str(tmp_path), "--model", "looker", "--json"]
    assert main(words) == 1
    alone = capsys.readouterr()
    assert main([*words, "--workers", "2", "--save", str(tmp_path / "out")]) == 1
    shared = capsys.readouterr()
    assert shared.err.splitlines()[0] == alone.err.rstrip("\n")
    for one, other in zip(alone.out.splitlines(), shared.out.splitlines(), strict=True):
        expected, found = json.loads(one), json.loads(other)
        if "error" in expected:
            assert found == expected
            continue
        assert [found[name] for name in ("path", "text")] == [expected[name] for name in ("path", "text")]
        for word, same in zip(expected["words"], found["words"], strict=True):
            np.testing.assert_allclose(same["weights"], word["weights"], atol=1e-6)
    assert len(loaded) == 2
    assert len(list((tmp_path / "out").iterdir())) == 15


def test_a_score_says_how_it_was_reached(
    lister: str, parallel_folder: Path, loaded: list[ModelLoader], capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("en", "de"):
        lines = (parallel_folder / f"train.{split}").read_text() * 8
        (parallel_folder / f"long.{split}").write_text(lines)
    words = ["evaluate", lister, str(parallel_folder), "--split", "long", "--precision", "bfloat16", "--shortlist"]
    assert main([*words, "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert (alone["precision"], alone["shortlist"]) == ("bfloat16", True)
    assert main([*words, "--workers", "2"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (lines["precision"], lines["shortlist"]) == ("bfloat16", "yes")
    assert lines["chrf"] == f"{alone['chrf']:.2f}"
    assert len(loaded) == 2


@pytest.mark.parametrize("command", ["translate", "caption", "evaluate"])
def test_bad_numbers_of_workers_are_one_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "a", "--workers", "0"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "Invalid value for '--workers': Input should be greater than or equal to 1" in err


def test_a_worker_that_cannot_start_is_one_line(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workers, "PROGRAM", "raise MemoryError('all is taken')")
    assert main(["translate", "--file", str(file), "--workers", "2"]) == 1
    assert capsys.readouterr() == (
        "",
        "error: a worker process failed: MemoryError: all is taken; without workers the same may tell more\n",
    )
