"""What a model is comes from the model: the words and the number follow every setting that they speak of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from regard.config import parse
from regard.evaluation.compare.wording import _mechanism, describe, vector_size
from regard.model import EncoderDecoder, ModelSettings

GRID = {"name": "efficientnet_lite0", "weights": None, "layer": "stage3", "size": 32}
TILES = {**GRID, "form": "tiles", "tiles": 3}
SENTENCE = {"name": "recurrent", "hidden": 5, "embedding": 6}
SMALL = {"hidden": 4}


def build(encoder: dict[str, Any], decoder: dict[str, Any], dim: int | None = None) -> EncoderDecoder:
    bridge = None if dim is None else {"dim": dim}
    values = {"encoder": encoder, "bridge": bridge, "decoder": decoder}
    settings = parse(ModelSettings, values, origin="test")
    return EncoderDecoder(settings, vocabulary_size=7, source_vocabulary_size=7)


@pytest.mark.parametrize(
    ("encoder", "decoder", "said"),
    [
        (GRID, {"name": "repeat"}, ["no attention, no feedback", "mean of 4 × 4 cells"]),
        (TILES, {"name": "feedback"}, ["no attention:", "mean of 3 × 3 tiles", "each word is the next input"]),
        (GRID, {"name": "attend", "score": "general"}, ["soft attention (general) over 4 × 4 cells"]),
        (TILES, {"name": "attend", "kind": "hard"}, ["hard attention (additive)", "of 3 × 3 tiles"]),
        (SENTENCE, {"name": "rnnsearch"}, ["attention (additive) over the pieces of the sentence"]),
        (SENTENCE, {"name": "rnnencdec"}, ["without attention"]),
        (SENTENCE, {"name": "luong", "kind": "local-p"}, ["local-p attention (general)"]),
        (SENTENCE, {"name": "transformer", "dim": 8, "heads": 2}, ["Transformer"]),
    ],
)
def test_words(encoder: dict[str, Any], decoder: dict[str, Any], said: list[str]) -> None:
    sizes = {} if decoder["name"] == "transformer" else SMALL
    text = describe(build(encoder, {**sizes, **decoder}))
    assert all(part in text for part in said), text
    assert "{" not in text


def test_the_vector_is_the_narrowest_place_before_the_decoder() -> None:
    plain = build(SENTENCE, {"name": "feedback", **SMALL})
    assert vector_size(plain) == plain.encoder.dim == 10
    assert vector_size(build(SENTENCE, {"name": "attend", **SMALL}, dim=3)) == 3
    assert vector_size(build(SENTENCE, {"name": "repeat", "image_vector": 2, **SMALL}, dim=3)) == 2


@pytest.mark.parametrize(
    ("attends", "said"),
    [(True, "pointer net, attention over {places}"), (False, "pointer net, without attention, from {places}")],
)
def test_a_decoder_that_is_new_is_said_by_its_name(attends: bool, said: str) -> None:
    new: Any = SimpleNamespace(name="pointer_net")
    assert _mechanism(new, attends=attends) == said
