"""A run folder shows after each validation what the model says of some inputs, and where it looks."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from regard.evaluation.samples import WIDTH, draw_samples
from regard.training.curves import CURVES
from regard.training.recipe import Recipe
from regard.training.run import train


@pytest.mark.parametrize("name", ["tiny_recipe", "tiny_translation_recipe"])
def test_a_run_draws_samples_and_curves(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    recipe: Recipe = request.getfixturevalue(name)
    train(recipe, tmp_path / "run", cache=tmp_path / "cache", draw_samples=draw_samples)
    epochs = sum(phase.epochs for phase in recipe.phases)
    drawn = sorted((tmp_path / "run" / "samples").iterdir())
    assert [path.name for path in drawn] == [f"epoch-{epoch:04}.png" for epoch in range(1, epochs + 1)]
    for path in (*drawn, tmp_path / "run" / CURVES):
        with Image.open(path) as picture:
            assert picture.height > 100
            assert picture.width <= max(WIDTH, 3 * 542)
        assert path.stat().st_size < 2_000_000
    train(recipe, tmp_path / "without", cache=tmp_path / "cache")
    weights = [(tmp_path / run / "best" / "weights.safetensors").read_bytes() for run in ("run", "without")]
    assert weights[0] == weights[1], "drawing changes nothing of what is learned"
