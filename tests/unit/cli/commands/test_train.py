"""``regard train`` and ``regard evaluate``: from a recipe to a scored model, through the command line alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from regard.cli import main
from regard.training.recipe import Recipe


@pytest.fixture
def recipe(tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_recipe.model_dump(mode="json")))
    return str(path)


SHORT = ["--set", "phases.0.epochs=1", "--set", "phases.1.epochs=1", "--cache", "cache"]


def test_a_recipe_becomes_a_model_that_can_be_scored(
    recipe: str, captioned_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", recipe, *SHORT, "--json"]) == 0
    out, err = capsys.readouterr()
    outcome = json.loads(out)
    assert outcome["folder"] == str(Path("runs") / "tiny")
    assert (outcome["metric"], outcome["best_epoch"] in (1, 2)) == ("cider", True)
    assert "epoch 2" in err

    assert main(["evaluate", "runs/tiny", str(captioned_folder), "--split", "dev", "--beam", "2", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    expected = ["split", "count", "bleu1", "bleu2", "bleu3", "bleu4", "cider", "rouge_l", "seconds"]
    assert list(scores) == [*expected, "precision", "note", "signature"]
    assert "fewer than 50 images" in scores["note"]
    assert (scores["split"], scores["count"]) == ("dev", 3)

    assert main(["evaluate", "runs/tiny", str(captioned_folder), "--split", "dev", "--beam", "2"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (lines["bleu1"], lines["precision"]) == (f"{scores['bleu1']:.2f}", "float32")

    assert main(["train", recipe, *SHORT, "--output", "runs/tiny"]) == 0
    assert capsys.readouterr().out.startswith("runs/tiny: cider ")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["train", "gone.yaml"], "gone.yaml: no such file"),
        (["train", "tiny.yaml", "--set", "phases.0.epoch=1"], "did you mean 'epochs'?"),
        (["evaluate", "gone", "photos", "--split", "dev"], "gone: no such model"),
    ],
)
@pytest.mark.usefixtures("recipe")
def test_what_cannot_be_used_is_one_line(words: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert part in err


def test_ctrl_c_stops_with_a_line_that_says_how_to_go_on(
    recipe: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("regard.cli.progress.ShownProgress.advance", press)
    assert main(["train", recipe, *SHORT]) == 130
    assert "the same command continues it" in capsys.readouterr().err


def test_data_become_a_model_in_one_command(
    captioned_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["train", str(captioned_folder), "--epochs", "1", "--cache", "cache", "--set", "phases.0.batch=2"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert out.startswith("runs/photos: bleu4 ")
    assert (tmp_path / "runs" / "photos" / "curves.png").exists()
    assert sorted(path.name for path in (tmp_path / "runs" / "photos" / "samples").iterdir())[0] == "epoch-0000.png"
    assert "6 photos to learn from, 3 to judge by" in err
    assert "begins from everyday" in err
    assert main(["train", "runs/photos", "--epochs", "2", "--cache", "cache"]) == 0
    assert "continuing runs/photos after 1 epochs" in capsys.readouterr().err
    assert main(["caption", "--model", "runs/photos", str(captioned_folder / "Flicker8k_Dataset" / "0.jpg")]) == 0


def test_init_writes_a_recipe_that_trains_and_leaves_files_alone(
    captioned_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", str(captioned_folder)]) == 0
    assert capsys.readouterr().out == "photos.yaml: train it with: regard train photos.yaml\n"
    assert main(["init", str(captioned_folder)]) == 1
    assert "is there already" in capsys.readouterr().err
    smaller = [
        "--from",
        "nothing",
        "--set",
        "data.crops=0",
        "--epochs",
        "1",
        "--cache",
        "cache",
        "--drop-words",
        "--strict",
    ]
    model = {"encoder": {"name": "efficientnet_lite0", "weights": None, "size": 64}, "decoder": {"name": "repeat"}}
    changes = ["--set", f"model={json.dumps(model)}"]
    assert main(["train", "photos.yaml", *smaller, *changes]) == 0
