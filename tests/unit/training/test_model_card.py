"""The model card: its recipe makes the model again."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from regard.config import parse
from regard.saved.bundle import Bundle
from regard.training.model_card import model_card
from regard.training.recipe import Recipe, read_recipe

RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipe_of_a_card_is_the_recipe(path: Path, tiny_translator: Bundle) -> None:
    recipe = read_recipe(path)
    card = model_card(recipe, tiny_translator)
    values = yaml.safe_load(card.partition("```yaml\n")[2].partition("```")[0])
    written = [values["data"], *values["data"].get("sets", [])]
    for each, original in zip(written, [recipe.data, *getattr(recipe.data, "sets", [])], strict=True):
        assert each["folder"] == Path(original.folder).name
        each["folder"] = original.folder
    assert parse(Recipe, values, origin="the card") == recipe
