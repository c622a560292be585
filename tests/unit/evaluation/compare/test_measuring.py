"""A comparison trains what is not trained yet and nothing else, whatever stopped it before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from regard.errors import ConfigError, Interrupted
from regard.evaluation.compare import Entry, compare, read_candidates, write_comparison
from regard.evaluation.compare.significance import stored_texts


class Watch:
    """Remembers the titles of stretches; presses Ctrl-C when one begins for the n-th time."""

    def __init__(self, *, stop_at: tuple[str, int] = ("", 0)) -> None:
        self.titles: list[str] = []
        self.lines: list[str] = []
        self._stop_at = stop_at

    def start(self, title: str, total: int, *, done: int = 0) -> None:
        self.titles.append(title)

    def advance(self, count: int, note: str = "") -> None:
        if (self.titles[-1], self.titles.count(self.titles[-1])) == self._stop_at:
            raise KeyboardInterrupt

    def log(self, line: str) -> None:
        self.lines.append(line)

    @property
    def epochs(self) -> int:
        """How many epochs were begun."""
        return sum(title.startswith("epoch") for title in self.titles)


def run(paths: list[Path], folder: Path, watch: Watch) -> list[Entry]:
    return compare(read_candidates(paths, folder / "runs"), progress=watch, cache=folder / "features")


def test_an_interrupted_comparison_continues_and_a_finished_one_trains_nothing(
    three: list[Path], tmp_path: Path
) -> None:
    stopped = Watch(stop_at=("epoch 1", 2))
    with pytest.raises(Interrupted):
        run(three, tmp_path, stopped)
    assert stopped.epochs == 2

    going_on = Watch()
    entries = run(three, tmp_path, going_on)
    assert going_on.epochs == 2, "the first model is done, the second begins again, the third is new"
    assert [entry.candidate.name for entry in entries] == ["repeat", "feedback", "feedback-2"]

    again = Watch()
    assert run(three, tmp_path, again) == entries
    assert again.titles == []
    best = max(entries, key=lambda entry: entry.measured.scores["cider"])
    assert all((entry.p_value is None) == (entry is best) for entry in entries)
    assert all(entry.p_value is None or 0 <= entry.p_value <= 1 for entry in entries)

    page = tmp_path / "docs" / "page.md"
    write_comparison(entries, page, command="regard compare …")
    rows = [line for line in page.read_text().splitlines() if line.startswith("| `")]
    for entry in entries:
        assert sum(f"| `{entry.candidate.name}` |" in row for row in rows) >= 2
    models = json.loads(page.with_suffix(".json").read_text())["models"]
    assert {model["name"] for model in models} == {"repeat", "feedback", "feedback-2"}
    assert (tmp_path / "docs" / "images" / "vector-size.svg").exists()

    repeat, feedback, narrow = (entry.measured for entry in entries)
    assert {"bleu4", "cider", "signature", "count"} <= repeat.scores.keys()
    assert repeat.scores["count"] == 4
    assert feedback.best_epoch == 1
    assert feedback.seconds > 0
    assert "cores" in feedback.machine
    assert "torch" in feedback.versions
    # bridge 8 × (annotations + 1) + norm 2 × 8; W 6 × 8 + 6 against bottleneck 2 × 8 + 2 and W 6 × 2 + 6
    assert feedback.trained - feedback.decoder == narrow.trained - narrow.decoder
    assert feedback.decoder - narrow.decoder == 6 * 8 - (2 * 8 + 2) - 6 * 2


def test_seeds_are_trained_one_by_one_and_finished_runs_taken_as_they_are(three: list[Path], tmp_path: Path) -> None:
    watch = Watch()
    candidates = read_candidates(three[:1], tmp_path / "runs", seeds=2)
    entries = compare(candidates, progress=watch, cache=tmp_path / "features")
    assert [entry.candidate.recipe.seed for entry in entries] == [0, 1]
    assert [entry.candidate.folder.name for entry in entries] == ["repeat-seed0", "repeat-seed1"]
    assert watch.epochs == 2
    assert all(entry.low is not None and entry.low <= entry.high for entry in entries)
    assert {(entry.low, entry.high, entry.p_value) for entry in entries} == {(entries[0].low, entries[0].high, None)}

    again = Watch()
    finished = [tmp_path / "runs" / "repeat-seed0", tmp_path / "runs" / "repeat-seed1"]
    taken = compare(read_candidates(finished, tmp_path / "none"), progress=again)
    assert [entry.candidate.name for entry in taken] == ["repeat-seed0", "repeat-seed1"]
    assert [entry.measured.scores for entry in taken] == [entry.measured.scores for entry in entries]
    assert again.titles == []

    texts = finished[0] / "validation.json"
    of_this_model = texts.read_text()
    texts.write_text(json.dumps({**json.loads(of_this_model), "model": "a former one", "hypotheses": ["former"] * 4}))
    assert compare(read_candidates(finished, tmp_path / "none")) == taken
    assert texts.read_text() == of_this_model
    with pytest.raises(ConfigError, match="is finished; leave out --set and --seeds"):
        read_candidates(finished, tmp_path / "none", seeds=2)
    with pytest.raises(ConfigError, match="holds no finished run; finish it with: regard train"):
        read_candidates([tmp_path], tmp_path / "none")


def test_what_is_written_for_every_data_set_is_judged(make_recipe: Any, squares: Path, tmp_path: Path) -> None:
    more = shutil.copytree(squares, tmp_path / "more")
    data = {"format": "flickr8k", "folder": str(squares), "minimum_count": 1, "sets": [{"folder": str(more)}]}
    recipe = make_recipe("both", {"name": "repeat", "hidden": 6}, data=data)
    candidates = read_candidates([recipe], tmp_path / "runs", seeds=2)
    compare(candidates, cache=tmp_path / "features")
    texts = stored_texts(candidates[0].folder)
    assert texts is not None
    assert texts.sizes == [4, 4]
    assert texts.hypotheses[:4] == texts.hypotheses[4:]
    assert [Path(photo).parents[1] for photo in texts.inputs] == [squares] * 4 + [more] * 4


def test_a_run_from_elsewhere_does_not_claim_this_machine(three: list[Path], tmp_path: Path) -> None:
    run(three[:1], tmp_path, Watch())
    (tmp_path / "runs" / "repeat" / "machine.json").unlink()
    (entry,) = run(three[:1], tmp_path, Watch())
    assert entry.measured.machine == "not recorded"


def test_translators_are_compared_by_their_own_scores(make_recipe: Any, tmp_path: Path) -> None:
    for language, words in (("en", "one dog runs"), ("de", "ein Hund läuft")):
        for split, copies in (("train", 6), ("val", 2)):
            lines = [f"{words} {number}" for number in range(copies)]
            (tmp_path / f"{split}.{language}").write_text("\n".join(lines) + "\n")
    data = {
        "format": "parallel",
        "folder": str(tmp_path),
        "source": "en",
        "target": "de",
        "codec": {"name": "subwords", "size": 300},
    }
    encoder = {"name": "recurrent", "hidden": 4, "embedding": 4}
    paths = [
        make_recipe(name, {}, data=data, model={"encoder": encoder, "decoder": {"name": name, **sizes}})
        for name, sizes in (("feedback", {"hidden": 4, "embedding": 4}), ("repeat", {"hidden": 4}))
    ]
    entries = run(paths, tmp_path, Watch())
    assert [entry.candidate.vector for entry in entries] == [8, 8]
    page = tmp_path / "page.md"
    write_comparison(entries, page, command="regard compare …")
    text = page.read_text(encoding="utf-8")
    assert "| BLEU | chrF2 |" in text
    assert "tok:13a" in text
    # all of a translator learns, its encoder too: one embedding, and two directions of three gates without biases
    reads = entries[0].measured.trained - entries[0].measured.decoder
    assert reads == 300 * 4 + 2 * 3 * (4 * 4 + 4 * 4)
