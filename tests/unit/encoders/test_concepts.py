from __future__ import annotations

import hashlib
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regard.annotations import Annotations
from regard.encoders.concepts import ConceptEmbedding, ConceptFinder, class_words, concept_words
from regard.encoders.image import ImageEncoder, ImageEncoderSettings
from regard.encoders.labels import imagenet_labels
from regard.errors import ConfigError, ModelError
from regard.fast import encoder_for_search


def encoder(name: str = "efficientnet_lite0", **values: Any) -> ImageEncoder:
    torch.manual_seed(5)
    made = ImageEncoder(ImageEncoderSettings(name=name, weights=None, **{"size": 64, "concepts": 3, **values}))
    classifier = made.network.linear_classifier()
    assert classifier is not None
    nn.init.normal_(classifier.weight, std=0.3)  # fresh ones hardly tell classes apart
    nn.init.normal_(classifier.bias, std=0.3)
    return made


def pixels(batch: int = 2, side: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(side)
    return torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8, generator=generator)


def test_every_class_has_one_everyday_word() -> None:
    words = concept_words()
    labels = [label for word in words for label in word.labels]
    assert sorted(labels) == sorted(imagenet_labels())
    assert len({word.text for word in words}) == len(words)
    numbers, classes = class_words().tolist(), imagenet_labels()
    word_of = {label: words[number].text for label, number in zip(classes, numbers, strict=True)}
    assert {word_of[label] for label in ("tabby", "tiger cat", "Egyptian cat")} == {"cat"}
    assert word_of["crane bird"] == "bird"
    assert word_of["crane"] == "crane"


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18"])
def test_concepts_equal_the_written_out_sums(name: str) -> None:
    made = encoder(name)
    annotations = made(pixels())
    concepts, words = annotations.concepts, class_words().tolist()
    assert concepts is not None
    classifier = made.network.linear_classifier()
    assert classifier is not None
    for each, features in enumerate(annotations.values.double()):
        logits = classifier.weight.double() @ features.mean(dim=0) + classifier.bias.double()
        p = [math.exp(value) for value in logits.tolist()]
        p = [value / sum(p) for value in p]
        of_word = {w: sum(p[c] for c in range(1000) if words[c] == w) for w in set(words)}
        best = sorted(of_word, key=lambda w: -of_word[w])[:3]
        assert concepts.words[each].tolist() == best
        assert concepts.probabilities[each].tolist() == pytest.approx([of_word[w] for w in best], rel=1e-4)
        for j, w in enumerate(best):
            activations = [
                sum(p[c] / of_word[w] * float(classifier.weight[c].double() @ f) for c in range(1000) if words[c] == w)
                for f in features
            ]
            score = sum(
                p[c] / of_word[w] * (float(logits[c]) - float(classifier.bias[c])) for c in range(1000) if words[c] == w
            )
            assert sum(activations) / len(activations) == pytest.approx(score, rel=1e-6)
            positive = [max(m, 0.0) for m in activations]
            expected = (
                [m / sum(positive) for m in positive] if sum(positive) else [1 / len(activations)] * len(activations)
            )
            assert concepts.maps[each, j].tolist() == pytest.approx(expected, abs=1e-4)


def test_maps_sum_to_one_even_where_nothing_speaks_for_a_class() -> None:
    classifier = nn.Linear(4, 1000)
    nn.init.constant_(classifier.weight, -1.0)
    concepts = ConceptFinder(5)(torch.rand(2, 9, 4), classifier)
    assert torch.allclose(concepts.maps.sum(dim=-1), torch.ones(2, 5))
    assert torch.allclose(concepts.maps, torch.full_like(concepts.maps, 1 / 9))


def test_an_embedding_equals_its_formula_and_is_the_decoders_where_the_vocabulary_knows_the_word() -> None:
    torch.manual_seed(2)
    layer, embeddings = ConceptEmbedding(dim=6, embedding=5), torch.randn(20, 5)
    tokens = torch.full((len(concept_words()),), -1)
    tokens[7], tokens[9] = 4, 11
    layer.name(tokens)
    made = encoder()(pixels())
    assert made.concepts is not None
    concepts = type(made.concepts)(torch.tensor([[7, 3]]), torch.tensor([[0.49, 0.04]]), made.concepts.maps[:1, :2])
    given = Annotations(torch.randn(1, 4, 6), concepts=concepts)
    values = layer(given, embeddings).values
    assert torch.equal(values[:, :4], given.values)
    for j, row in enumerate((0.7 * embeddings[4], 0.2 * layer.r.weight[3])):
        expected = layer.norm(layer.U.weight @ row + layer.U.bias)
        assert torch.allclose(values[0, 4 + j], expected, atol=1e-6)


def test_words_that_are_named_again_keep_what_they_learned() -> None:
    layer = ConceptEmbedding(dim=6, embedding=5)
    tokens = torch.full((len(concept_words()),), -1)
    tokens[7] = 4
    layer.name(tokens)
    learned = torch.nn.init.normal_(layer.r.weight.detach()).clone()
    tokens[7], tokens[9] = 5, 11  # of a vocabulary that has more words
    layer.name(tokens)
    assert layer.get_buffer("tokens").tolist() == tokens.tolist()
    assert not layer.r.weight[9].any()
    others = torch.arange(len(learned)) != 9
    assert torch.equal(layer.r.weight[others], learned[others])


def test_a_saved_token_outside_the_vocabulary_is_refused() -> None:
    layer = ConceptEmbedding(dim=6, embedding=5)
    layer.check(20, origin="here")
    layer.name(torch.full((len(concept_words()),), 20))
    with pytest.raises(ModelError, match="here: concepts stand for tokens"):
        layer.check(20, origin="here")


@pytest.mark.parametrize(
    "values", [{"name": "vgg16"}, {"layer": "stage5"}, {"name": "resnet18", "layer": "layer3"}], ids=str
)
def test_concepts_need_a_classifier_that_reads_the_annotations(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="concepts need a network whose classifier"):
        ImageEncoder(ImageEncoderSettings(**{"name": "efficientnet_lite0", "weights": None, "concepts": 2, **values}))


@pytest.mark.parametrize("start", [None, "stage6", "stem"])
def test_concepts_are_the_same_by_every_way_through_the_network(start: str | None) -> None:
    made = encoder(train_from=start)
    whole = made(pixels())
    for other in (made.tail(made.trunk(pixels())), made.fused()(pixels()), encoder_for_search(made)(pixels())):
        assert whole.concepts is not None
        assert other.concepts is not None
        assert torch.equal(other.concepts.words, whole.concepts.words)
        for one, two in ((other.concepts.maps, whole.concepts.maps), (other.values, whole.values)):
            assert torch.allclose(one, two, atol=1e-3)


def test_a_trunk_is_kept_for_any_number_of_concepts() -> None:
    assert encoder(concepts=2).trunk_fingerprint() == encoder(concepts=5).trunk_fingerprint()


def test_what_is_forgotten_is_nothing_at_first_and_more_later() -> None:
    made = encoder(train_from="stage6")
    made.teach()
    made.train()

    def lost() -> Tensor:
        concepts = made(pixels()).concepts
        assert concepts is not None
        assert concepts.forgotten is not None
        return concepts.forgotten

    assert torch.allclose(lost(), torch.zeros(2), atol=1e-5)
    classifier = made.network.linear_classifier()
    assert classifier is not None
    with torch.no_grad():
        classifier.weight.mul_(0.5)
    first = lost().mean()
    assert first > 0.01
    optimizer = torch.optim.SGD([each for each in made.parameters() if each.requires_grad], lr=1e-4)
    first.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert lost().mean() < first
    made.eval()
    concepts = made(pixels()).concepts
    assert concepts is not None
    assert concepts.forgotten is None
    assert not any("teacher" in name for name in made.state_dict())


def test_the_table_is_the_one_that_saved_models_learned_with() -> None:
    # a model knows words by their place in the table: another order needs models that are trained anew
    text = "\n".join(f"{word.text}<{word.broader}" for word in concept_words())
    assert hashlib.sha256(text.encode()).hexdigest().startswith("40eab262c61b9445")
