"""``regard compare``: one command from recipes to a table; what is wrong is one line before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regard.cli import main
from regard.config import parse
from regard.evaluation.compare import Candidate, Entry, Measured
from regard.training.recipe import Recipe

VALUES = {
    "data": {"format": "captions", "folder": "data/squares"},
    "model": {"encoder": {"name": "efficientnet_lite0", "weights": None}, "decoder": {"name": "repeat"}},
    "phases": [{"epochs": 4}],
}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading and training replaced by made-up figures; both are tested by themselves."""

    def read(paths: list[Path], output: Path, assignments: list[str], *, seeds: int) -> list[Candidate]:
        recipes = [parse(Recipe, {"name": path.stem, **VALUES}, origin=str(path)) for path in paths]
        changes = tuple(assignments)
        return [
            Candidate(path, recipe.model_copy(update={"seed": seed}), output / recipe.name, changes, "a model", 64)
            for path, recipe in zip(paths, recipes, strict=True)
            for seed in range(seeds)
        ]

    def compare(candidates: list[Candidate], *, progress: object, cache: Path | None, device: str) -> list[Entry]:
        figures = Measured(
            scores={"count": 4, "bleu4": 12.34, "cider": 56.78, "signature": "none"},
            trained=1200,
            decoder=1000,
            seconds=9.6,
            best_epoch=2,
            machine="A CPU",
            versions="regard 0",
        )
        return [Entry(candidate, figures) for candidate in candidates]

    monkeypatch.setattr("regard.evaluation.compare.read_candidates", read)
    monkeypatch.setattr("regard.evaluation.compare.compare", compare)


@pytest.mark.usefixtures("measured")
def test_a_table_on_standard_output_and_the_page_in_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "a.yaml", "b.yaml", "--output", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    head, *rows = (line.split() for line in out.splitlines())
    assert head == ["model", "vector", "CIDEr-D", "BLEU-4", "trained", "seconds"]
    assert rows == [[name, "64", "56.8", "12.3", "1,200", "10"] for name in "ab"]
    page = tmp_path / "comparison.md"
    assert str(page) in err
    assert f"`regard compare a.yaml b.yaml --output {tmp_path}`" in page.read_text(encoding="utf-8")


@pytest.mark.usefixtures("measured")
def test_a_row_stands_for_all_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "a.yaml", "b.yaml", "--output", str(tmp_path), "--seeds", "3", "--json"]) == 0
    models = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [[run["seed"] for run in model["runs"]] for model in models] == [[0, 1, 2]] * 2
    assert models[0]["spread"] == {"bleu4": 0, "cider": 0}
    page = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "--seeds 3`" in page
    assert "| 56.8 ± 0.0 |" in page
    assert "seeds 0, 1, 2" in page


@pytest.mark.usefixtures("measured")
def test_json_is_an_object_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "docs" / "table.md"
    words = ["compare", "a.yaml", "b.yaml", "--output", str(tmp_path), "--markdown", str(page), "--set", "seed=3"]
    assert main([*words, "--json"]) == 0
    models = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(model["name"], model["cider"]) for model in models] == [("a", 56.78), ("b", 56.78)]
    assert all(model["command"].endswith("--set seed=3") for model in models)
    assert json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["models"] == models


@pytest.mark.parametrize("page", ["table.html", "table"])
def test_the_page_is_markdown(page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "a.yaml", "--markdown", str(tmp_path / page)]) == 1
    assert ".md" in capsys.readouterr().err


def test_what_is_wrong_is_one_line_and_status_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: broken\n")
    assert main(["compare", str(broken), str(tmp_path / "gone.yaml"), "--output", str(tmp_path / "runs")]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert str(broken) in err
    assert "gone.yaml: no such file" in err
    assert not (tmp_path / "runs").exists()
