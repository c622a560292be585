"""What a phase learns from and how: pairs that change from epoch to epoch or those of the data, dropout, precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regard.config import parse
from regard.model import EncoderDecoder, ModelSettings
from regard.training.checkpoint import Position
from regard.training.micro_batches import own_micro_batches
from regard.training.objectives import build_objective
from regard.training.recipe import Phase, Recipe
from regard.training.translations import TranslationTask


def task_of(recipe: Recipe, **data: object) -> TranslationTask:
    values = recipe.model_dump(mode="json")
    values["data"] |= data
    return TranslationTask(parse(Recipe, values, origin="test").data, seed=0)  # type: ignore[arg-type]


def test_a_phase_may_leave_the_subwords_as_they_are(tiny_translation_recipe: Recipe) -> None:
    task = task_of(tiny_translation_recipe, subword_dropout=0.3)
    plain = task.captions
    task.batches(Phase(epochs=1), number=0, epoch=0)
    first = task.captions
    task.batches(Phase(epochs=1), number=0, epoch=1)
    assert plain != first != task.captions
    task.batches(Phase(epochs=1, subword_dropout=False), number=1, epoch=0)
    assert task.captions == plain
    task.batches(Phase(epochs=1, objective="self_critical"), number=2, epoch=0)
    assert task.captions == plain


def test_noise_stays_where_the_subwords_do_not_change(tiny_translation_recipe: Recipe) -> None:
    task = task_of(tiny_translation_recipe, subword_dropout=0.3, noise={"no_stop": 1.0})
    with_noise = task_of(tiny_translation_recipe, noise={"no_stop": 1.0})
    for each in (task, with_noise):
        each.batches(Phase(epochs=1, subword_dropout=False), number=0, epoch=0)
    assert task.captions == with_noise.captions
    sources = [each.source_tokenizer.decode(each._pairs.sources[0]) for each in (task, with_noise)]
    assert sources[0] == sources[1]
    assert not sources[0].endswith(".")


SIZES = {"name": "transformer", "dim": 8, "layers": 1, "heads": 2, "feed_forward": 12, "dropout": 0.0}
TRANSFORMER = {"encoder": SIZES, "decoder": SIZES}
RECURRENT = {
    "encoder": {"name": "recurrent", "embedding": 8, "hidden": 6, "dropout": 0.0, "embedding_dropout": 0.0},
    "decoder": {"name": "rnnsearch", "embedding": 8, "hidden": 10, "readout": 8, "attention": 5, "dropout": 0.0},
}


@pytest.mark.parametrize("settings", [TRANSFORMER, RECURRENT], ids=["transformer", "recurrent"])
def test_a_phase_in_bfloat16_takes_the_products_of_both_sides_in_it(
    tiny_translation_recipe: Recipe, settings: dict[str, Any]
) -> None:
    task = task_of(tiny_translation_recipe)
    torch.manual_seed(0)
    parsed = parse(ModelSettings, settings, origin="test")
    model = EncoderDecoder(parsed, vocabulary_size=300, source_vocabulary_size=300)
    dtypes: list[torch.dtype] = []

    def note(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        dtypes.append(output.dtype)

    for layer in model.encoder.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(note)
    losses, gradients = [], []
    for precision in ("float32", "bfloat16"):
        phase = Phase(epochs=1, tokens=120, precision=precision)
        objective = build_objective(phase, task, model, seed=0, position=Position())
        batch = task.batches(phase, number=0, epoch=0)[0]
        (whole,) = own_micro_batches(batch, task.captions, accumulate=1, entropy=[0])
        loss, _ = objective.loss(whole, epoch=0)
        model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(float(loss.detach()))
        embedding = model.encoder.E
        assert isinstance(embedding, nn.Embedding)
        gradient = embedding.weight.grad
        assert gradient is not None
        gradients.append(gradient.clone())
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert not torch.equal(*gradients)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0.1, atol=0.05 * float(gradients[0].abs().max()))
    if settings is TRANSFORMER:
        assert set(dtypes) == {torch.float32, torch.bfloat16}
