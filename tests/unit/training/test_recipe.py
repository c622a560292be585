"""A recipe says everything that is wrong with it, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from regard.config import override, parse
from regard.errors import ConfigError
from regard.metrics import score_captions, score_translations
from regard.training.recipe import Recipe, read_recipe

RECIPES = Path(__file__).parents[3] / "recipes"

CAPTIONS: dict[str, Any] = {
    "name": "tiny",
    "data": {"format": "flickr8k", "folder": "photos"},
    "model": {"encoder": {"name": "resnet18"}, "decoder": {"name": "attend"}},
    "phases": [{"epochs": 2}, {"epochs": 1, "optim": {"lr": 0.5}}],
}
TRANSLATION: dict[str, Any] = {
    "name": "tiny",
    "data": {"format": "parallel", "folder": "pairs", "source": "en", "target": "de"},
    "model": {"encoder": {"name": "recurrent"}, "decoder": {"name": "rnnsearch"}},
    "phases": [{"epochs": 2, "tokens": 500}],
}


def read(tmp_path: Path, values: Any, assignments: list[str] | None = None) -> Recipe:
    path = tmp_path / "recipe.yaml"
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return read_recipe(path, assignments)


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_that_ships_can_be_read(path: Path) -> None:
    assert read_recipe(path).name


def test_assignments_reach_into_lists(tmp_path: Path) -> None:
    recipe = read(tmp_path, CAPTIONS, ["phases.1.optim.lr=3e-4", "phases.0.batch=7", "model.bridge.dim=9", "seed=4"])
    assert (recipe.phases[1].optim.lr, recipe.phases[0].batch, recipe.seed) == (3e-4, 7, 4)
    assert recipe.model.bridge is not None
    assert recipe.model.bridge.dim == 9


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        ("phases.2.epochs=1", "'2' is no entry of the list; allowed: numbers from 0 to 1"),
        ("phases.last.epochs=1", "'last' is no entry of the list"),
        ("phases.-1.epochs=1", "'-1' is no entry of the list"),
        ("name.first=1", "there is no group of settings that holds 'first'"),
        ("seed", "is not an assignment; allowed: KEY=VALUE"),
        ("=3", "is not an assignment"),
        ("seed=[", "--set seed=\\[: is not YAML"),
    ],
)
def test_an_assignment_that_leads_nowhere_is_one_line(tmp_path: Path, assignment: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        read(tmp_path, CAPTIONS, [assignment])


def test_overriding_changes_a_copy() -> None:
    values = {"a": [{"b": 1}, {"b": 2}]}
    assert override(values, ["a.1.b=5", "c.d=x"]) == {"a": [{"b": 1}, {"b": 5}], "c": {"d": "x"}}
    assert values == {"a": [{"b": 1}, {"b": 2}]}


def test_the_score_that_chooses_is_that_of_the_task(tmp_path: Path) -> None:
    assert read(tmp_path, CAPTIONS).judged_by == "cider"
    assert read(tmp_path, TRANSLATION).judged_by == "bleu"
    assert read(tmp_path, TRANSLATION, ["metric=chrf"]).judged_by == "chrf"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ("- 1", "holds no mapping"),
        ("a: [", "is not YAML"),
        (CAPTIONS | {"name": "Has Spaces"}, "name: string should match pattern"),
        (CAPTIONS | {"phases": []}, "phases: list should have at least 1 item"),
        (CAPTIONS | {"phase": []}, "phase is unknown, did you mean 'phases'"),
        (CAPTIONS | {"phases": [{"epochs": 1, "optm": {}}]}, "phases.0.optm is unknown, did you mean 'optim'"),
        (CAPTIONS | {"phases": [{"epochs": 0.5}]}, "phases.0.epochs"),
        (CAPTIONS | {"phases": [{"epochs": 1, "optim": {"encoder_lr": 0.1}}]}, "the whole encoder is frozen"),
        (CAPTIONS | {"data": TRANSLATION["data"]}, "'parallel' cannot be read by the encoder 'resnet18'"),
        (TRANSLATION | {"data": CAPTIONS["data"]}, "'flickr8k' cannot be read by the encoder 'recurrent'"),
        ({"name": "tiny"}, "data: field required; model: field required; phases: field required"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, values: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as error:
        read(tmp_path, values)
    assert "\n" not in str(error.value)


def test_a_missing_recipe_names_one_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.yaml: no such file; .*recipes/flickr8k.yaml"):
        read_recipe(tmp_path / "none.yaml")


def test_a_recipe_survives_being_written_and_read(tmp_path: Path) -> None:
    for values in (CAPTIONS, TRANSLATION):
        recipe = read(tmp_path, values)
        assert read(tmp_path, recipe.model_dump(mode="json")) == recipe


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("ciderr", "there is no metric 'ciderr'; allowed: .*; did you mean 'cider'"),
        ("bleu", "there is no metric 'bleu'; allowed: cider, bleu4"),
        ("meteor", "there is no metric 'meteor'"),
    ],
)
def test_a_score_that_validation_does_not_give_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        read(tmp_path, CAPTIONS, [f"metric={name}"])


def test_the_scores_to_choose_by_are_those_that_are_measured(tmp_path: Path) -> None:
    captions = score_captions(["a dog"], [["a dog runs"]])
    assert set(read(tmp_path, CAPTIONS).metrics) == captions.values.keys()
    translations = score_translations(["ein Hund"], ["ein Hund"], target_language="de")
    assert set(read(tmp_path, TRANSLATION).metrics) == translations.values.keys()


def test_a_language_is_not_translated_into_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.source and data\.target are both 'en'"):
        read(tmp_path, TRANSLATION, ["data.source=en", "data.target=en"])


def test_weights_of_a_model_are_asked_for_with_from(tiny_recipe: Recipe) -> None:
    values = override(tiny_recipe.model_dump(mode="json"), ["model.weights=flickr8k"])
    with pytest.raises(ConfigError, match=r"'flickr8k' is no setting of the model; begin from .* --from NAME"):
        parse(Recipe, values, origin="r.yaml")


@pytest.mark.parametrize(
    ("phase", "problem"),
    [
        ({"objective": "self_critical", "attention_maps": 0.1}, "reads no given captions"),
        ({"r_drop": 1.0, "attention_entropy": 0.1}, "leave out attention_entropy, or r_drop"),
        ({"r_drop": 1.0, "retain_classes": 0.1}, "leave out retain_classes, or r_drop"),
        ({"r_drop": 1.0, "objective": "self_critical"}, "leave out self_critical, or r_drop"),
        ({"attention_maps": 0.1}, "the encoder names no concepts"),
    ],
    ids=str,
)
def test_penalties_on_attention_that_would_be_ignored_are_refused(
    tmp_path: Path, phase: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        read(tmp_path, {**CAPTIONS, "phases": [{"epochs": 1, **phase}]})


@pytest.mark.parametrize("penalty", ["doubly_stochastic", "attention_entropy"])
@pytest.mark.parametrize("decoder", ["repeat", "feedback"])
def test_penalties_on_the_attention_of_a_decoder_that_has_none_are_refused(
    tmp_path: Path, penalty: str, decoder: str
) -> None:
    with pytest.raises(ConfigError, match=f"{penalty} is above 0, but the decoder '{decoder}' has no attention"):
        read(tmp_path, CAPTIONS, [f"phases.1.{penalty}=0.1", f"model.decoder.name={decoder}"])


@pytest.mark.parametrize("encoder_lr", ["null", "0"])
def test_classes_are_retained_only_in_phases_where_the_encoder_learns(tmp_path: Path, encoder_lr: str) -> None:
    learns = ["model.encoder.train_from=stage4", "model.encoder.concepts=3", "phases.1.optim.encoder_lr=1e-4"]
    assert read(tmp_path, CAPTIONS, [*learns, "phases.1.retain_classes=0.5"]).phases[1].retain_classes == 0.5
    with pytest.raises(ConfigError, match=r"in a phase that leaves the encoder as it is; set optim\.encoder_lr"):
        read(tmp_path, CAPTIONS, [*learns, f"phases.0.optim.encoder_lr={encoder_lr}", "phases.0.retain_classes=0.5"])


@pytest.mark.parametrize("change", ["objective=self_critical", "r_drop=1.0"])
def test_hard_attention_is_refused_where_its_choices_would_not_be_learned(tmp_path: Path, change: str) -> None:
    assert read(tmp_path, CAPTIONS, ["model.decoder.kind=hard"])
    with pytest.raises(ConfigError, match="attention of kind 'hard' learns where to look by cross_entropy"):
        read(tmp_path, CAPTIONS, ["model.decoder.kind=hard", f"phases.1.{change}"])
