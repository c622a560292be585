"""What a phase learns from: pairs that change from epoch to epoch, or those of the data."""

from __future__ import annotations

from regard.config import parse
from regard.training.recipe import Phase, Recipe
from regard.training.translations import TranslationTask


def test_a_phase_may_leave_the_pairs_as_they_are(tiny_translation_recipe: Recipe) -> None:
    values = tiny_translation_recipe.model_dump(mode="json")
    values["data"] |= {"subword_dropout": 0.3}
    task = TranslationTask(parse(Recipe, values, origin="test").data, seed=0)  # type: ignore[arg-type]
    plain = task.captions
    task.batches(Phase(epochs=1), number=0, epoch=0)
    first = task.captions
    task.batches(Phase(epochs=1), number=0, epoch=1)
    assert plain != first != task.captions
    task.batches(Phase(epochs=1, augment=False), number=1, epoch=0)
    assert task.captions == plain
    task.batches(Phase(epochs=1, objective="self_critical"), number=2, epoch=0)
    assert task.captions == plain
