"""Concepts are annotations like any other: every decoder takes them, by every path; on the photo weights sum to 1."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from regard.config import parse
from regard.encoders.concepts import concept_words
from regard.fast import for_training
from regard.model import EncoderDecoder, ModelSettings
from regard.pipeline import Captioner
from regard.pipeline.concepts import USED, fold_concepts
from regard.pipeline.generation import Generation, NamedConcepts
from regard.saved.bundle import Bundle, load_bundle, save_bundle
from regard.search import Hypothesis, SearchOptions, SpecialTokens, search
from regard.text import WordTokenizer

TOKENIZER = WordTokenizer.train(["a cat and a dog", "a bird on a car", "an animal runs"])
TOKENS = SpecialTokens(bos=1, eos=2, forbidden=(0, 1, 3))
REGIONS, CONCEPTS = 4, 3

DECODERS: dict[str, dict[str, Any]] = {
    "attend": {"name": "attend", "embedding": 6, "hidden": 8, "attention": 7},
    "attend-dot-gru": {"name": "attend", "embedding": 6, "hidden": 10, "score": "dot", "cell": "gru"},
    "attend-hard": {"name": "attend", "embedding": 6, "hidden": 8, "attention": 7, "kind": "hard"},
    "luong": {"name": "luong", "embedding": 6, "hidden": 8},
    "rnnsearch": {"name": "rnnsearch", "embedding": 6, "hidden": 8, "attention": 7, "readout": 6},
    "rnnencdec": {"name": "rnnencdec", "embedding": 6, "hidden": 8, "readout": 6},
    "repeat": {"name": "repeat", "hidden": 8},
    "feedback": {"name": "feedback", "embedding": 6, "hidden": 8},
    "transformer": {"name": "transformer", "dim": 10, "layers": 2, "heads": 2, "feed_forward": 9},
}


def build(decoder: str, *, train_from: str | None = None) -> EncoderDecoder:
    values = {
        "encoder": {
            "name": "efficientnet_lite0",
            "size": 64,
            "weights": None,
            "concepts": CONCEPTS,
            "train_from": train_from,
        },
        "bridge": {"dim": 10},
        "decoder": DECODERS[decoder],
    }
    torch.manual_seed(4)
    model = EncoderDecoder(parse(ModelSettings, values, origin="the test"), vocabulary_size=TOKENIZER.size)
    classifier = model.encoder.network.linear_classifier()
    nn.init.normal_(classifier.weight, std=0.3)
    model.name_concepts(token)
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.normal_(std=0.6)
    return model.eval()


def token(word: str) -> int | None:
    (found,) = TOKENIZER.encode(word).ids
    return None if found == 3 else found


def pixels(batch: int) -> torch.Tensor:
    return torch.randint(0, 256, (batch, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(batch))


def found(model: EncoderDecoder, options: SearchOptions) -> list[list[Hypothesis]]:
    with torch.inference_mode():
        return search(model.decoder, model.annotate(pixels(3)), options, tokens=TOKENS)


@pytest.mark.parametrize("decoder", DECODERS)
def test_every_decoder_searches_and_learns_with_concepts_by_every_path(
    decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGARD_REFERENCE", "0")
    model = build(decoder)
    options = SearchOptions(beam=3, max_length=6, alternatives=2)
    fast = found(model, options)
    with monkeypatch.context() as reference:
        reference.setenv("REGARD_REFERENCE", "1")
        plain = found(model, options)
    for ours, theirs in zip(fast, plain, strict=True):
        assert [each.tokens for each in ours] == [each.tokens for each in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.weights.shape[1] == REGIONS + CONCEPTS
            torch.testing.assert_close(one.weights, other.weights, atol=1e-5, rtol=1e-4)
    annotations = model.annotate(pixels(2))
    tokens = torch.tensor([[[1, 5, 6, 4]], [[1, 7, 4, 5]]])
    expected, looked = model.decoder(annotations, tokens)
    trace = for_training(model.decoder).trace(annotations, tokens)
    logits, weights = model.decoder.logits(trace.readouts), trace.weights
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(weights, looked, atol=1e-5, rtol=1e-4)
    logits.square().mean().backward()  # type: ignore[no-untyped-call]
    if decoder not in ("rnnencdec",):  # which looks at nothing but the last state
        assert model.concepts is not None
        assert model.concepts.U.weight.grad is not None


@pytest.mark.parametrize("decoder", ["attend", "repeat"])
def test_words_of_the_vocabulary_are_tied_to_the_decoders_own_embedding(decoder: str) -> None:
    model = build(decoder)
    assert model.concepts is not None
    numbers = {word.text: number for number, word in enumerate(concept_words())}
    tokens = model.concepts.get_buffer("tokens")
    assert tokens[numbers["cat"]] == token("cat")
    assert tokens[numbers["wolf"]] == token("animal")
    assert tokens[numbers["table"]] == -1
    assert not model.concepts.r.weight[numbers["cat"]].any()
    assert model.concepts.r.weight[numbers["table"]].any()
    assert model.concepts.r.weight.shape[1] == (6 if decoder == "attend" else 10)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle(model=build("attend"), tokenizer=TOKENIZER, search=SearchOptions(beam=2, max_length=6, min_length=3))


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    noise = np.random.default_rng(1).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((83, 61), Image.Resampling.BICUBIC)


def test_a_caption_says_where_its_concepts_lie(bundle: Bundle, photo: Image.Image) -> None:
    captioner = Captioner(bundle)
    caption = captioner.caption(photo)
    prepared, _ = bundle.model.encoder.prepare(captioner_photo(photo))
    with torch.inference_mode():
        annotations = bundle.model.annotate(prepared.unsqueeze(0))
        (hypotheses,) = search(bundle.model.decoder, annotations, bundle.search, tokens=TOKENS)
    assert annotations.concepts is not None
    maps, names = annotations.concepts.maps[0], [concept_words()[n].text for n in annotations.concepts.words[0]]
    for word, alpha in zip(caption.words, hypotheses[0].weights, strict=True):
        expected = alpha[:REGIONS] + sum(alpha[REGIONS + j] * maps[j] for j in range(CONCEPTS))
        assert word.weights.reshape(-1) == pytest.approx(expected.numpy(), abs=1e-5)
        assert word.weights.sum() == pytest.approx(1, abs=1e-6)
        used = alpha[REGIONS:].sum() > USED
        assert word.concept == (names[int(alpha[REGIONS:].argmax())] if used else None)
        assert word.to_dict().get("concept") == word.concept


def captioner_photo(photo: Image.Image) -> Any:
    from regard.data.images import load_image

    return load_image(photo)


def test_a_word_is_named_after_the_concept_that_it_came_from() -> None:
    concepts = NamedConcepts(("cat", "dog"), (0.6, 0.1), np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32))
    weights = np.array([[0.1, 0.2, 0.3, 0.4], [0.3, 0.3, 0.2, 0.2]])
    first, second = fold_concepts(weights, concepts)
    assert (first.concept, second.concept) == ("dog", None)
    assert first.weights == pytest.approx([0.1 + 0.3 + 0.2, 0.2 + 0.2])
    assert fold_concepts(weights, None)[0].weights == pytest.approx(weights[0])


def test_a_saved_model_names_the_same_concepts(bundle: Bundle, photo: Image.Image, tmp_path: Path) -> None:
    loaded = load_bundle(save_bundle(bundle, tmp_path / "saved", precision="float32"))
    ours, theirs = Captioner(bundle).caption(photo), Captioner(loaded).caption(photo)
    assert ours.text == theirs.text
    for one, other in zip(ours.words, theirs.words, strict=True):
        assert one.concept == other.concept
        assert one.weights == pytest.approx(other.weights, abs=1e-4)


def test_a_worker_hands_over_what_it_saw(bundle: Bundle) -> None:
    captioner = Captioner(bundle)
    (generation,) = captioner.generate_batch(list(pixels(1).numpy()), bundle.search, (), 0)
    again: Generation = pickle.loads(pickle.dumps(generation))
    assert again.concepts is not None
    assert generation.concepts is not None
    assert again.concepts.names == generation.concepts.names
    assert np.array_equal(again.concepts.maps, generation.concepts.maps)


def test_a_part_of_a_batch_keeps_its_own_concepts() -> None:
    annotations = build("attend").annotate(pixels(3))
    assert annotations.concepts is not None
    assert annotations.num_regions == REGIONS
    chosen = annotations.select(torch.tensor([2, 0])).to("cpu")
    assert chosen.concepts is not None
    assert torch.equal(chosen.concepts.words, annotations.concepts.words[[2, 0]])
    assert torch.equal(chosen.concepts.maps, annotations.concepts.maps[[2, 0]])


def test_a_part_of_the_photo_does_without_concepts_and_next_words_with_them(bundle: Bundle, photo: Image.Image) -> None:
    captioner = Captioner(bundle)
    for word in captioner.caption(photo, region=(0.0, 0.0, 0.5, 1.0)).words:
        assert word.concept is None
        assert word.weights[:, 1].sum() == 0
    for caption in captioner.captions_after(photo, "", count=2):
        for word in caption.words:
            assert word.weights.sum() == pytest.approx(1, abs=1e-6)
