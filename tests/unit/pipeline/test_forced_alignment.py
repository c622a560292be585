"""Translations that are given: read as the decoder would read them, each pair in its index."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from regard.annotations import Annotations
from regard.config import parse
from regard.errors import TextError
from regard.fast import for_training
from regard.model import EncoderDecoder, ModelSettings
from regard.pipeline import Translator
from regard.results import Translation
from regard.saved.bundle import Bundle
from regard.text import merge_weights
from regard.text.vocabulary import BOS


@pytest.fixture
def translator(tiny_translator: Bundle) -> Translator:
    return Translator(tiny_translator)


def test_given_translations_are_read_as_the_decoder_reads_them_step_by_step(translator: Translator) -> None:
    given = [("A dog runs.", "Zwei Hunde."), ("Two dogs sit near a car.", "Ein"), ("A girl", "Hunde laufen. Ein Auto!")]
    bundle = translator.bundle
    for (source, target), forced in zip(given, translator.align_many(given), strict=True):
        assert isinstance(forced, Translation)
        assert (forced.source, forced.text, forced.finished) == (source, target, True)
        read, written = bundle.tokenizer.encode(source, eos=True), bundle.tokenizer.encode(target, eos=True)
        ids = torch.tensor([read.ids])
        total, rows = 0.0, []
        with torch.inference_mode():
            state = bundle.model.decoder.start(bundle.model.annotate(ids, torch.ones_like(ids, dtype=torch.bool)))
            for before, token in zip([BOS, *written.ids], written.ids, strict=False):
                step = bundle.model.decoder.step(state, torch.tensor([[before]]))
                total += float(step.logits[0, 0].log_softmax(dim=-1)[token])
                state, rows = step.state, [*rows, step.weights[0, 0].numpy()]
        assert forced.score == pytest.approx(total / len(written), rel=1e-4)
        assert forced.alignment == pytest.approx(merge_weights(np.stack(rows), written.words, read.words), abs=1e-5)


def test_a_pair_that_cannot_be_aligned_stands_in_its_place(translator: Translator) -> None:
    given = [("Dog.", "Hund."), ("", "Hund."), ("Dog.", " "), ("half \ud800", "Hund."), ("Dog.", "Hund.")]
    results = list(translator.align_many(given, batch=2))
    assert [isinstance(result, TextError) for result in results] == [False, True, True, True, False]
    first, last = results[0], results[4]
    assert isinstance(first, Translation)
    assert isinstance(last, Translation)
    assert first.score == pytest.approx(last.score, rel=1e-4)


def test_pairs_are_read_in_batches_of_like_length_and_few_tokens(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [("dog " * (1 + 7 * i % 12), "Hund " * (1 + 5 * i % 12)) for i in range(30)]
    alone = [next(translator.align_many([pair])) for pair in given]
    multiplied: list[int] = []
    sizes: list[tuple[int, ...]] = []

    def counting(readouts: torch.Tensor) -> torch.Tensor:
        multiplied.append(len(readouts))
        return logits(readouts)

    def measuring(annotations: Annotations, tokens: torch.Tensor, lengths: torch.Tensor) -> object:
        sizes.append((len(tokens), max(tokens.shape[-1], annotations.values.shape[1])))
        return trace(annotations, tokens, lengths)

    decoder = translator.bundle.model.decoder
    logits, trace = decoder.logits, for_training(decoder).trace
    monkeypatch.setattr(decoder, "logits", counting)
    monkeypatch.setattr("regard.pipeline.generation.for_training", lambda _: SimpleNamespace(trace=measuring))
    monkeypatch.setattr("regard.pipeline.forced_alignment.TOKENS", 100)
    monkeypatch.setattr("regard.pipeline.generation.BLOCK", 7)
    for each, ours, theirs in zip(given, translator.align_many(given), alone, strict=True):
        assert isinstance(ours, Translation)
        assert isinstance(theirs, Translation)
        assert (ours.source, ours.text) == each
        assert ours.score == pytest.approx(theirs.score, rel=1e-4)
        assert ours.alignment == pytest.approx(theirs.alignment, abs=1e-5)
    tokenizer = translator.bundle.tokenizer
    assert sum(multiplied) == sum(len(tokenizer.encode(target, eos=True)) for _, target in given), (
        "no padding among them"
    )
    assert all(count == 1 or count * longest <= 100 for count, longest in sizes)
    assert max(multiplied) <= 7
    assert any(count > 2 for count, _ in sizes)


def test_pairs_with_many_weights_are_not_kept_together(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regard.pipeline.forced_alignment.CELLS", 50)
    asked: list[int] = []
    given = [("A dog runs.", "Zwei Hunde."), ("Dog", "Hund"), *[("Two dogs sit near a car.", "Hunde am Auto")] * 9]
    for number, result in enumerate(translator.align_many(asked.append(i) or pair for i, pair in enumerate(given))):
        assert isinstance(result, Translation)
        assert len(asked) <= number + 3


def test_a_pair_that_is_too_long_for_learned_positions_stands_in_its_place(tiny_translator: Bundle) -> None:
    sizes = {"name": "transformer", "dim": 8, "layers": 1, "heads": 2, "feed_forward": 8}
    settings = {"encoder": {**sizes, "positions": "learned", "max_positions": 9}, "decoder": sizes}
    model = EncoderDecoder(
        parse(ModelSettings, settings, origin="the test"),
        vocabulary_size=tiny_translator.tokenizer.size,
        source_vocabulary_size=tiny_translator.tokenizer.size,
    )
    long = "A dog runs on the beach with two girls and a horse."
    given = [("Dog.", "Hund."), (long, "Hund."), ("A dog.", "Ein Hund.")]
    results = list(Translator(replace(tiny_translator, model=model)).align_many(given))
    assert [isinstance(result, TextError) for result in results] == [False, True, False]
    assert "too long for this model" in str(results[1])
