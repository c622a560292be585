"""A recipe that takes more memory than there is is refused before it is built."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from regard.config import override, parse
from regard.errors import ConfigError, OutOfMemory
from regard.training import memory
from regard.training.memory import check_memory, free_bytes, least_bytes, naming_what_to_lower
from regard.training.recipe import Recipe


def test_a_recipe_takes_its_weights_their_gradients_moments_and_average(tiny_recipe: Recipe) -> None:
    from regard.model import EncoderDecoder

    model = EncoderDecoder(tiny_recipe.model, vocabulary_size=50)
    learned = sum(each.numel() for each in model.parameters() if each.requires_grad)
    kept = sum(each.numel() for each in model.parameters())
    logits = 2 * 50 * 3 * 2
    assert least_bytes(tiny_recipe, writes=50, reads=0) == 4 * (2 * kept + 3 * learned + logits)


def test_what_no_machine_has_room_for_is_one_error_at_once(tiny_translation_recipe: Recipe) -> None:
    large = {"hidden": 8192, "embedding": 8192, "readout": 8192, "attention": 8192}
    changes = [f"model.decoder.{name}={size}" for name, size in large.items()]
    changes += ["model.encoder.layers=64", "model.encoder.hidden=8192", "model.shared_embeddings=false"]
    values = override(tiny_translation_recipe.model_dump(mode="json"), changes)
    recipe = parse(Recipe, values, origin="the test")
    with pytest.raises(ConfigError, match=r"training takes [\d,.]+ GB of memory at least, and .* GB are free; lower"):
        check_memory(recipe, writes=500_000, reads=500_000)


def test_the_free_memory_is_what_the_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MEMORY", tmp_path / "meminfo")
    assert free_bytes() is None
    (tmp_path / "meminfo").write_text("MemTotal:  100 kB\nMemAvailable:   40 kB\n")
    assert free_bytes() == 40 * 1024


def test_where_memory_does_not_suffice_the_setting_is_named(
    tiny_recipe: Recipe, tiny_translation_recipe: Recipe
) -> None:
    with (
        pytest.raises(OutOfMemory, match=r"more memory than is free; lower phases.2.batch \(2\), such as --set .*=1"),
        naming_what_to_lower(2, tiny_recipe.phases[0]),
    ):
        torch.empty(1 << 52)
    by_tokens = tiny_translation_recipe.phases[0].model_copy(update={"tokens": 4000})
    with (
        pytest.raises(OutOfMemory, match=r"lower phases.0.tokens \(4000\), such as --set phases.0.tokens=2000"),
        naming_what_to_lower(0, by_tokens),
    ):
        raise MemoryError
    with pytest.raises(RuntimeError, match="a defect"), naming_what_to_lower(0, by_tokens):
        raise RuntimeError("a defect")
