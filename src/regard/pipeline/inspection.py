"""A captioner from the inside, on one photo: what a page needs to show how it works.

    pixels → feature maps, layer by layer → annotations
    before word t: query h_{t-1}, scores e_ti, weights α_ti = softmax(e_t)_i, and the most probable next words

Everything is computed by the plain modules, step by step, for a caption that was found before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from regard.annotations import Annotations
from regard.data.images import Photo
from regard.decoders.attend import AttendDecoder
from regard.decoders.base import State
from regard.encoders.concepts import concept_words
from regard.encoders.image import ImageEncoder
from regard.encoders.labels import classify
from regard.encoders.network import ConvNet
from regard.encoders.pretrained import load_network
from regard.errors import ModelError, RegardError
from regard.pipeline.prefetch import PreparedImage
from regard.saved.bundle import Bundle
from regard.text.vocabulary import BOS

CLASSIFIER = "efficientnet_lite0"
"""The network that names classes; its weights come with the extra ``pretrained``."""
NUM_LAYERS, NUM_CHANNELS, MAP_SIZE = 5, 6, 28
NUM_NEXT_WORDS, NUM_CLASSES, NUM_QUERY = 5, 5, 64


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """Some channels of one layer.

    Attributes:
        layer: its name.
        num_channels, size: of the whole layer, and its rows or columns.
        maps: uint8 [channel, row, column], each from its least to its greatest value; at most 28 rows and columns.
    """

    layer: str
    num_channels: int
    size: int
    maps: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class InspectedStep:
    """What one piece of the caption was written from.

    Attributes:
        text: the piece.
        query: float [hidden], h_{t-1}; None of a decoder that has no such vector.
        scores: float [rows, columns], before the softmax; likewise None.
        weights: float [rows, columns], after it.
        concepts: names and weights of the concepts that were looked at beside the regions.
        next_words: the most probable pieces, each with its probability.
    """

    text: str
    query: npt.NDArray[np.float32] | None
    scores: npt.NDArray[np.float32] | None
    weights: npt.NDArray[np.float32]
    concepts: tuple[tuple[str, float], ...]
    next_words: tuple[tuple[str, float], ...]


@dataclass(frozen=True, eq=False)
class Inspection:
    """A captioner on one photo.

    Attributes:
        size: the side in pixels of what the network sees.
        layers: feature maps, from the first layer to that of the annotations.
        classes: the most probable classes and their probabilities; None where no classifier is installed.
        steps: one for each piece of the caption.
    """

    size: int
    layers: tuple[FeatureMaps, ...]
    classes: tuple[tuple[str, float], ...] | None
    steps: tuple[InspectedStep, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data; queries are cut to their first numbers, and their size is told."""
        return {
            "size": self.size,
            "layers": [
                {"name": each.layer, "channels": each.num_channels, "size": each.size, "maps": each.maps.tolist()}
                for each in self.layers
            ],
            "classes": None if self.classes is None else _pairs(self.classes),
            "steps": [_step_data(each) for each in self.steps],
        }


def inspect_captioner(bundle: Bundle, picture: PreparedImage, ids: Sequence[int]) -> Inspection:
    """Look into a captioner while it writes a caption.

    Args:
        bundle: the captioner.
        picture: the photo, as the captioner reads it.
        ids: the pieces of the caption, without begin and end.

    Raises:
        ModelError: the model runs outside of torch.
    """
    encoder = bundle.model.encoder
    if type(encoder) is not ImageEncoder:
        raise ModelError("a model with the runtime onnx cannot be looked into", remedy="use --runtime torch")
    pixels = torch.from_numpy(picture.pixels[None])
    photo = Photo(picture.path, Image.fromarray(picture.photo), picture.regions.width, picture.regions.height)
    with torch.inference_mode():
        annotations = bundle.model.annotate(pixels)
        return Inspection(
            size=encoder.picture_size,
            layers=tuple(_feature_maps(encoder, pixels)),
            classes=_classes(photo),
            steps=tuple(_steps(bundle, annotations, encoder.grid_shape, ids)),
        )


def _feature_maps(encoder: ImageEncoder, pixels: Tensor) -> list[FeatureMaps]:
    network = encoder.network
    layers = network.layers[: network.index(encoder.layer) + 1]
    shown = {layers[round(at)] for at in np.linspace(0, len(layers) - 1, min(NUM_LAYERS, len(layers)))}
    found, x, before = [], network.normalise(pixels), None
    for layer in layers:
        x, before = network.run(x, after=before, until=layer), layer
        if layer in shown:
            found.append(FeatureMaps(layer, x.shape[1], x.shape[2], _liveliest(x[0].float())))
    return found


def _liveliest(features: Tensor) -> npt.NDArray[np.uint8]:
    """The channels of [channel, row, column] that differ most over the picture, as pictures."""
    spread = features.flatten(1).std(dim=1)
    chosen = features[spread.topk(min(NUM_CHANNELS, len(spread))).indices]
    small = adaptive_avg_pool2d(chosen, min(MAP_SIZE, chosen.shape[1]))
    low, high = small.amin(dim=(1, 2), keepdim=True), small.amax(dim=(1, 2), keepdim=True)
    return ((small - low) / (high - low).clamp_min(1e-6) * 255).round().to(torch.uint8).numpy()


def _steps(bundle: Bundle, annotations: Annotations, grid: tuple[int, int], ids: Sequence[int]) -> list[InspectedStep]:
    decoder, regions, names = bundle.model.decoder, annotations.num_regions, _concept_names(annotations)
    state, found = decoder.start(annotations), []
    for before, token in zip((BOS, *ids), ids, strict=False):
        query, scores = _looks_for(bundle, state)
        step = decoder.step(state, torch.tensor([[before]]))
        weights = step.weights[0, 0]
        found.append(
            InspectedStep(
                text=bundle.tokenizer.decode([token]),
                query=query,
                scores=None if scores is None else scores[:regions].reshape(grid).numpy(),
                weights=weights[:regions].reshape(grid).numpy(),
                concepts=tuple(zip(names, weights[regions:].tolist(), strict=True)),
                next_words=_next_words(bundle, step.logits[0, 0]),
            )
        )
        state = step.state
    return found


def _looks_for(bundle: Bundle, state: State) -> tuple[npt.NDArray[np.float32] | None, Tensor | None]:
    """The query and its scores, [position]; None where the decoder does not look with its state."""
    decoder = bundle.model.decoder
    if not isinstance(decoder, AttendDecoder):
        return None, None
    query = state.rows["h"]
    return query[0, 0].numpy(), decoder.attention.score(query, state.memory.keys)[0, 0]


def _concept_names(annotations: Annotations) -> list[str]:
    if annotations.concepts is None:
        return []
    return [concept_words()[number].text for number in annotations.concepts.words[0].tolist()]


def _next_words(bundle: Bundle, logits: Tensor) -> tuple[tuple[str, float], ...]:
    """The most probable pieces; the end is the empty text."""
    probabilities = logits.float().softmax(dim=-1)
    probabilities[list(bundle.tokenizer.forbidden)] = 0.0
    best = probabilities.topk(NUM_NEXT_WORDS)
    return tuple(
        (bundle.tokenizer.decode([index]), probability)
        for index, probability in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    )


def _classes(photo: Photo) -> tuple[tuple[str, float], ...] | None:
    network = _classifier()
    return None if network is None else tuple(classify(network, photo, top=NUM_CLASSES))


@cache
def _classifier() -> ConvNet | None:
    try:
        return load_network(CLASSIFIER)
    except RegardError:
        return None


def _step_data(step: InspectedStep) -> dict[str, Any]:
    return {
        "text": step.text,
        "query": None if step.query is None else step.query[:NUM_QUERY].round(4).tolist(),
        "query_size": 0 if step.query is None else len(step.query),
        "scores": None if step.scores is None else step.scores.round(4).tolist(),
        "weights": step.weights.round(6).tolist(),
        "concepts": _pairs(step.concepts),
        "next": _pairs(step.next_words),
    }


def _pairs(named: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{"text": text, "probability": round(probability, 6)} for text, probability in named]
