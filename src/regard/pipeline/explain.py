"""Evidence for what a model wrote: its own words measured by erasing what they looked at.

On annotations everything is :mod:`regard.faithfulness`. On pixels the regions that a word looked at most are
hidden in the photo itself, under a blur or its mean colour, and the photo is encoded again:

    blur   a Gaussian blur of a twelfth of the picture's side
    mean   the mean colour of the picture
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageFilter

from regard.annotations import Annotations
from regard.data.images import Pixels
from regard.errors import ModelError
from regard.evidence.erasure import Written, force_decode
from regard.evidence.measurement import Order, counts, descending, measure_words
from regard.faithfulness import FRACTIONS, Curve, Faithfulness, Floats
from regard.model import EncoderDecoder
from regard.pipeline.engine import Engine
from regard.pipeline.generation import Generation

BLUR = 1 / 12
"""Radius of the blur as a share of the picture's side."""
BACKGROUNDS = ("blur", "mean")


def measure_generation(
    engine: Engine, model: EncoderDecoder, annotations: Annotations, generation: Generation, *, seed: int
) -> list[Faithfulness]:
    """The measurements of every word of what was written for one input.

    Raises:
        ModelError: the model runs outside of torch, where annotations cannot be erased, or has no attention.
    """
    if not model.decoder.attends:
        raise ModelError(
            f"a model with the decoder {model.settings.decoder.name} has no attention, so it has no reasons to measure"
        )
    if type(annotations) is not Annotations:
        raise ModelError("evidence cannot be measured with the runtime onnx", remedy="use --runtime torch")
    return measure_words(engine.stepper, annotations, written(generation), decoder=model.decoder, seed=seed)


def written(generation: Generation) -> Written:
    """The best text of a generation as measurements take it."""
    weights = np.asarray(generation.weights, dtype=np.float64)
    return Written(generation.ids, tuple(word.pieces for word in generation.words), weights)


def measure_pixels(
    engine: Engine,
    pixels: Pixels,
    grid: tuple[int, int],
    generation: Generation,
    weights: Floats,
    measured: Sequence[Faithfulness],
) -> list[Faithfulness]:
    """The measurements with curves on pixels: ``pixels-blur`` and ``pixels-mean``.

    Args:
        engine: the model.
        pixels: uint8 [H, W, 3], the picture as the network looks at it.
        grid: rows and columns of the regions.
        generation: what was written for it.
        weights: of each word on the photo, [word, region].
        measured: what was measured of each word on annotations.
    """
    for background in BACKGROUNDS:
        hidden = _background(pixels, background)
        curves = _pixel_curves(engine, pixels, hidden, grid, written(generation), descending(weights))
        name = f"pixels-{background}"
        measured = [
            replace(each, curves={**each.curves, name: curve}) for each, curve in zip(measured, curves, strict=True)
        ]
    return list(measured)


def _pixel_curves(
    engine: Engine, pixels: Pixels, hidden: Pixels, grid: tuple[int, int], text: Written, orders: Order
) -> list[Curve]:
    kept = [_kept_regions(order) for order in orders]
    copies = [np.where(_spread(each, grid, pixels.shape), pixels, hidden) for rows in kept for each in rows]
    asked = [text.range_of(word) for word, rows in enumerate(kept) for _ in rows]
    found = np.zeros((len(copies), len(text.ids)))
    last_first = sorted(range(len(copies)), key=lambda copy: -asked[copy].stop)
    annotations = engine.annotate(torch.from_numpy(np.stack([copies[copy] for copy in last_first])))
    found[last_first] = force_decode(engine.stepper, annotations, text.ids, [asked[copy] for copy in last_first])
    words = np.repeat(np.arange(len(orders)), 2 * len(FRACTIONS))
    own = text.of_words(found)[np.arange(len(words)), words].reshape(len(orders), 2, -1)
    return [Curve(tuple(deleted.tolist()), tuple(inserted.tolist())) for deleted, inserted in own]


def _kept_regions(order: Order) -> list[Floats]:
    """1 where a region stays, for each share: first all but those that come first, then these alone."""
    first = [np.zeros(len(order)) for _ in FRACTIONS]
    for regions, count in zip(first, counts(len(order)), strict=True):
        regions[order[:count]] = 1.0
    return [*(1 - regions for regions in first), *first]


def _spread(regions: Floats, grid: tuple[int, int], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Regions as pixels, bool [H, W, 1]."""
    rows, columns = grid
    y, x = np.arange(shape[0]) * rows // shape[0], np.arange(shape[1]) * columns // shape[1]
    return regions.reshape(rows, columns)[y][:, x, None] > 0


def _background(pixels: Pixels, name: str) -> Pixels:
    if name == "mean":
        colour = pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
        return np.broadcast_to(colour, pixels.shape)
    blurred = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(BLUR * max(pixels.shape)))
    return np.asarray(blurred)
