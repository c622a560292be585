"""A model made ready says what the model itself says; in lower precision it says nearly that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from regard.config import parse
from regard.data.batching import pad_sources
from regard.errors import ConfigError
from regard.model import EncoderDecoder, ModelSettings
from regard.pipeline import Captioner, load, load_captioner
from regard.pipeline.engine import Engine
from regard.saved.bundle import Bundle, save_bundle


@pytest.fixture(autouse=True)
def fused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGARD_REFERENCE", "0")


def pictures(count: int, side: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("count", [1, 4, 9])
def test_pictures_are_annotated_as_by_the_model_however_many_pass_together(tiny_captioner: Bundle, count: int) -> None:
    pixels = pictures(count, 64)
    found = Engine(tiny_captioner).annotate(pixels).values
    torch.testing.assert_close(found, tiny_captioner.model.annotate(pixels).values, atol=1e-4, rtol=1e-4)
    assert not found.requires_grad


def test_sentences_are_annotated_as_by_the_model(tiny_translator: Bundle) -> None:
    tokens, mask = pad_sources([[9, 8, 7, 2], [5, 2], [4, 4, 4, 4, 4, 4, 2]])
    engine = Engine(tiny_translator)
    found, expected = engine.annotate(tokens, mask), tiny_translator.model.annotate(tokens, mask)
    torch.testing.assert_close(found.values, expected.values, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.summary, expected.summary, atol=1e-5, rtol=1e-5)
    assert found.mask is not None


def test_the_plain_paths_say_the_same(tiny_captioner: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = [Image.fromarray(each.numpy()) for each in pictures(5, 80)]
    ready = list(Captioner(tiny_captioner).caption_many(photos, beam=3))
    monkeypatch.setenv("REGARD_REFERENCE", "1")
    plain = Captioner(tiny_captioner)
    assert Engine(tiny_captioner).stepper is tiny_captioner.model.decoder
    for one, other in zip(ready, plain.caption_many(photos, beam=3), strict=True):
        assert one.text == other.text
        assert one.score == pytest.approx(other.score, abs=1e-4)
        for word, same in zip(one.words, other.words, strict=True):
            np.testing.assert_allclose(word.weights, same.weights, atol=1e-4)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_lower_precision_is_chosen_when_a_model_is_loaded(tiny_captioner: Bundle, tmp_path, precision: str) -> None:
    save_bundle(tiny_captioner, tmp_path / "model")
    photo = Image.fromarray(pictures(1, 80)[0].numpy())
    exact = load_captioner(tmp_path / "model").caption(photo, beam=1, alternatives=0)
    near = load_captioner(tmp_path / "model", precision=precision).caption(photo, beam=1, alternatives=0)
    assert near.score != exact.score
    assert near.words[0].probability == pytest.approx(exact.words[0].probability, rel=0.2)


def test_a_precision_that_cannot_be_had_is_refused(tiny_captioner: Bundle, tiny_translator: Bundle, tmp_path) -> None:
    save_bundle(tiny_captioner, tmp_path / "captioner")
    with pytest.raises(ConfigError, match=r"no precision 'int4'.*float32, bfloat16, int8"):
        load(tmp_path / "captioner", precision="int4")
    encoder = {"name": "recurrent", "embedding": 8, "hidden": 4}
    # hard attention has no twin, and so no lower precision
    decoder = {"name": "attend", "kind": "hard", "embedding": 8, "hidden": 8, "attention": 8}
    settings = parse(ModelSettings, {"encoder": encoder, "decoder": decoder}, origin="the test")
    size = tiny_translator.tokenizer.size
    model = EncoderDecoder(settings, vocabulary_size=size, source_vocabulary_size=size)
    save_bundle(replace(tiny_translator, model=model), tmp_path / "translator")
    with pytest.raises(ConfigError, match="int8"):
        load(tmp_path / "translator", precision="int8")
