"""Every recipe is checked before the first is trained, and whatever is wrong is said at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from regard.errors import ConfigError
from regard.evaluation.compare import differences, read_candidates
from regard.training.recipe import read_recipe

RECIPES = Path(__file__).parents[4] / "recipes"


def test_a_candidate_is_the_recipe_with_the_changes_and_a_folder_of_its_own(three: list[Path], tmp_path: Path) -> None:
    candidates = read_candidates(three, tmp_path / "runs", ["seed=7"])
    assert [each.name for each in candidates] == ["repeat", "feedback", "feedback-2"]
    assert [each.folder for each in candidates] == [tmp_path / "runs" / each.name for each in candidates]
    assert {each.recipe.seed for each in candidates} == {7}
    assert [each.vector for each in candidates] == [8, 8, 2]
    assert not (tmp_path / "runs").exists(), "checking writes nothing"


def test_all_that_is_wrong_is_said_in_one_line_and_names_its_file(
    three: list[Path], make_recipe: Any, tmp_path: Path
) -> None:
    misspelt = make_recipe("misspelt", {"name": "feedback", "hiden": 6})
    unequal = make_recipe("unequal", {"name": "attend", "hidden": 6, "score": "dot"})
    nowhere = {"format": "flickr8k", "folder": str(tmp_path / "nowhere")}
    lost = make_recipe("lost", {"name": "repeat"}, data=nowhere)
    with pytest.raises(ConfigError) as caught:
        read_candidates([*three, misspelt, unequal, lost], tmp_path / "runs")
    message = str(caught.value)
    for path in (misspelt, unequal, lost):
        assert message.count(f"{path}: ") == 1
    assert "hidden" in message
    assert str(tmp_path / "nowhere") in message
    assert not any(f"{path}: " in message for path in three)


def test_a_name_belongs_to_one_recipe(make_recipe: Any, tmp_path: Path) -> None:
    first = make_recipe("repeat", {"name": "repeat"})
    second = tmp_path / "copy.yaml"
    second.write_text(first.read_text())
    with pytest.raises(ConfigError, match=r"2 recipes have the name 'repeat'"):
        read_candidates([first, second], tmp_path / "runs")


def test_a_folder_with_a_run_of_another_recipe_is_refused_before_any_training(
    three: list[Path], tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "feedback-2"
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text(three[0].read_text())
    (run / "outcome.json").write_text("{}")
    with pytest.raises(ConfigError, match="feedback-2: holds a run of another recipe"):
        read_candidates(three, tmp_path / "runs")


def test_captions_and_translations_have_no_score_in_common(make_recipe: Any, tmp_path: Path) -> None:
    for language in ("en", "de"):
        for split in ("train", "val"):
            (tmp_path / f"{split}.{language}").write_text("one\ntwo\n")
    sentences = {"format": "parallel", "folder": str(tmp_path), "source": "en", "target": "de"}
    model = {"encoder": {"name": "recurrent", "hidden": 4}, "decoder": {"name": "rnnsearch", "hidden": 4}}
    translator = make_recipe("translator", {}, data=sentences, model=model)
    captioner = make_recipe("captioner", {"name": "repeat"})
    with pytest.raises(ConfigError, match="flickr8k and parallel"):
        read_candidates([captioner, translator], tmp_path / "runs")
    assert [each.name for each in read_candidates([translator], tmp_path / "runs")] == ["translator"]


def test_captioners_are_compared_whatever_their_recipes_call_the_format(make_recipe: Any, tmp_path: Path) -> None:
    named = make_recipe("named", {"name": "repeat"})
    data = {**yaml.safe_load(named.read_text())["data"], "format": "captions"}
    found = make_recipe("found", {"name": "repeat"}, data=data)
    assert [each.name for each in read_candidates([named, found], tmp_path / "runs")] == ["named", "found"]


def test_recipes_that_are_validated_on_other_inputs_are_refused_before_any_training(
    make_recipe: Any, tmp_path: Path
) -> None:
    one = make_recipe("one", {"name": "repeat"})
    data = yaml.safe_load(one.read_text())["data"]
    other = make_recipe("other", {"name": "repeat"}, data={**data, "validation": "train"})
    with pytest.raises(ConfigError, match="validated on unequal inputs"):
        read_candidates([one, other], tmp_path / "runs")
    more_data = make_recipe("more", {"name": "repeat"}, data={**data, "train": "train+dev"})
    assert len(read_candidates([one, more_data], tmp_path / "runs")) == 2


def test_no_recipe_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no recipe"):
        read_candidates([], tmp_path)


def test_differences_are_named_with_every_value(make_recipe: Any) -> None:
    phases = [{"epochs": 1, "batch": 4, "optim": {"lr": 0.5}}, {"epochs": 2}]
    paths = [
        make_recipe("a", {"name": "repeat"}),
        make_recipe("b", {"name": "repeat"}, seed=3),
        make_recipe("c", {"name": "feedback"}, phases=phases),
    ]
    found = differences([read_recipe(path) for path in paths])
    assert found["seed"] == [0, 3]
    assert found["phases.0.optim.lr"] == [0.001, 0.5]
    assert found["phases.1.epochs"] == [None, 2]
    assert "phases.0.epochs" not in found
    assert not any(name.startswith(("model", "name")) for name in found)


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("compare", {"repeat", "feedback", "attend-soft-grid", "attend-soft-tiles", "attend-hard"}),
        ("bahdanau", {"rnnsearch", "rnnencdec"}),
    ],
)
def test_the_recipes_that_come_along_differ_in_the_model_alone(folder: str, names: set[str]) -> None:
    paths = sorted((RECIPES / folder).glob("*.yaml"))
    recipes = [read_recipe(path) for path in paths]
    assert [recipe.name for recipe in recipes] == [path.stem for path in paths]
    assert names <= {recipe.name for recipe in recipes}
    assert differences(recipes) == {}
    decoders = [recipe.model.decoder.model_dump() for recipe in recipes]
    for size in ("hidden", "embedding", "attention", "readout", "dropout"):
        assert len({decoder[size] for decoder in decoders if size in decoder}) <= 1
