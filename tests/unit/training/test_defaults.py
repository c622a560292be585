"""A recipe that is chosen fits the kind and the number of the data, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from PIL import Image

from regard.config import parse
from regard.errors import ConfigError, DataError
from regard.search import SearchOptions
from regard.training.defaults import NOTHING, choose_recipe, run_name
from regard.training.recipe import CaptionData, Recipe, TranslationData


def photos(folder: Path, count: int, caption: str = "a dog runs on the beach") -> Path:
    folder.mkdir()
    lines = ["image,caption"]
    for number in range(count):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(folder / f"{number}.png")
        lines += [f"{number}.png,{caption} {number}"]
    (folder / "captions.csv").write_text("\n".join(lines))
    return folder


def pairs(path: Path, count: int, header: str = "English,German") -> Path:
    path.write_text("\n".join([header, *(f"the dog is here {n},der hund ist hier {n}" for n in range(count))]))
    return path


def steps(recipe: Recipe, count: int) -> int:
    (phase,) = recipe.phases
    return phase.epochs * -(-count // phase.batch)


def test_few_photos_begin_from_the_shipped_model_in_small_batches(tmp_path: Path) -> None:
    choice = choose_recipe(photos(tmp_path / "My Photos", 60))
    recipe = choice.recipe
    assert isinstance(recipe.data, CaptionData)
    assert (recipe.name, recipe.begin_from, recipe.keep_words) == ("my-photos", "everyday", True)
    assert (recipe.data.minimum_count, recipe.search.no_repeat) == (1, 2)
    phase = recipe.phases[0]
    assert steps(recipe, 36) >= 100
    assert phase.optim.warmup < steps(recipe, 36) / 5
    assert (recipe.metric, recipe.surpass) == ("bleu4", pytest.approx(20 / 18**0.5, abs=0.1))
    assert recipe.search.no_end_after, "the model's own search"
    assert len(choice.reasons) == 5
    assert "36 photos to learn from, 18 to judge by, drawn from them" in choice.reasons[0]
    assert "begins from everyday" in choice.reasons[1]


def test_captions_in_another_language_leave_the_words_of_the_model(tmp_path: Path) -> None:
    choice = choose_recipe(photos(tmp_path / "photos", 20, "घास पर लाल गेंद है"))
    assert not choice.recipe.keep_words
    assert "another language" in choice.reasons[1]


def test_from_nothing(tmp_path: Path) -> None:
    recipe = choose_recipe(photos(tmp_path / "photos", 20), begin_from=NOTHING).recipe
    assert recipe.begin_from is None
    assert steps(recipe, 16) >= 100


@pytest.mark.parametrize(("count", "begin_from"), [(200, None), (200, NOTHING), (3000, NOTHING)])
def test_pairs(tmp_path: Path, count: int, begin_from: str | None) -> None:
    choice = choose_recipe(pairs(tmp_path / "pairs.csv", count), begin_from=begin_from, source="en", target="de")
    recipe = choice.recipe
    assert isinstance(recipe.data, TranslationData)
    assert recipe.begin_from == ("multi30k-en-de" if begin_from is None else None)
    assert (recipe.data.source, recipe.data.target) == ("en", "de")
    assert recipe.search != SearchOptions()
    hopeless = begin_from == NOTHING and count < 5_000
    assert ("make no useful translator" in choice.reasons[1]) == hopeless
    assert steps(recipe, count) >= 150
    assert len(choice.reasons) == 5


def test_the_direction_is_named_or_refused(tmp_path: Path) -> None:
    path = pairs(tmp_path / "pairs.csv", 20)
    for asked in ({"source": "en"}, {"target": "German"}, {"source": "English", "target": "de"}):
        data = choose_recipe(path, begin_from=NOTHING, **asked).recipe.data
        assert isinstance(data, TranslationData)
        assert (data.source, data.target) == ("en", "de")
    with pytest.raises(ConfigError, match=r"which language becomes which; allowed: en, de; .*--source en --target de"):
        choose_recipe(path)


def test_what_is_no_data_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data in a known layout.*docs/data.md"):
        choose_recipe(tmp_path)
    with pytest.raises(DataError, match="no such folder or file"):
        choose_recipe(tmp_path / "gone")


def test_the_commented_recipe_is_the_recipe(tmp_path: Path) -> None:
    choice = choose_recipe(photos(tmp_path / "photos", 20))
    text = choice.commented()
    assert parse(Recipe, yaml.safe_load(text), origin="it") == choice.recipe
    assert text.startswith("# ")
    assert "lr: 0.0004  # " in text


@pytest.mark.parametrize(
    ("name", "expected"), [("Holiday 2024", "holiday-2024"), ("사진", "data"), ("--x__y", "x-y"), ("a.csv", "a")]
)
def test_runs_are_called_after_the_data(tmp_path: Path, name: str, expected: str) -> None:
    assert run_name(tmp_path / name) == expected
