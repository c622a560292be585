"""How faithful a model's weights are over many inputs: the measurements of every word, in the mean.

Words that say something of the photo are told apart from articles and the like, which the words before them explain
better than any look; of translations all words count. Intervals are over inputs drawn again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regard.data.parallel import read_parallel
from regard.data.readers import read_captioned_images
from regard.errors import TextError
from regard.evidence.reference_words import is_content_word
from regard.faithfulness import FRACTIONS, Faithfulness
from regard.metrics.resampling import Bootstrap
from regard.pipeline import Captioner, Translator
from regard.progress import SILENT, Progress

INPUTS = 100
"""How many inputs of a split are measured by default."""


@dataclass(frozen=True)
class FaithfulnessScore:
    """A row of the table: all words under one order.

    Attributes:
        order: of the positions.
        words: how many.
        comprehensiveness, sufficiency: the means, for each of :data:`regard.faithfulness.FRACTIONS`.
        low, high: the 95 % interval of comprehensiveness at 20 %.
        deletion_area, insertion_area: the means.
        supported: of the order by weights, the share of words with evidence; None of others.
        rank_correlation: likewise the mean.
    """

    order: str
    words: int
    comprehensiveness: tuple[float, ...]
    sufficiency: tuple[float, ...]
    low: float
    high: float
    deletion_area: float
    insertion_area: float
    supported: float | None = None
    rank_correlation: float | None = None


def measure_faithfulness(
    model: Captioner | Translator,
    data: Path,
    split: str,
    *,
    inputs: int = INPUTS,
    pixels: bool = False,
    progress: Progress = SILENT,
) -> list[FaithfulnessScore]:
    """Measure every word of what a model writes for the first inputs of a split.

    Args:
        model: with attention.
        data: a folder of captioned images or of parallel sentences.
        split: its name.
        inputs: how many.
        pixels: hide regions in photos, too.
        progress: receives progress.

    Raises:
        DataError: the data cannot be used.
        ModelError: the model has no attention.
    """
    read = _captions(model, data, split, pixels) if isinstance(model, Captioner) else _translations(model, data, split)
    progress.start("inputs", inputs)
    measured: list[tuple[int, Faithfulness]] = []
    for number, words in enumerate(islice(read, inputs)):
        measured += [(number, word) for word in words]
        progress.advance(1)
    return summarise(measured)


def _captions(captioner: Captioner, data: Path, split: str, pixels: bool) -> Iterator[list[Faithfulness]]:
    for path in read_captioned_images(data, split).paths:
        words = captioner.explain(path, alternatives=0, pixels=pixels).words
        yield [word.faithfulness for word in words if word.faithfulness is not None and is_content_word(word.text)]


def _translations(translator: Translator, data: Path, split: str) -> Iterator[list[Faithfulness]]:
    source, target = translator.languages
    for text in read_parallel(data, split, source=source, target=target).sources:
        try:
            words = translator.explain(text).words
        except TextError:  # several sentences
            continue
        yield [word.faithfulness for word in words if word.faithfulness is not None]


def summarise(measured: Sequence[tuple[int, Faithfulness]]) -> list[FaithfulnessScore]:
    """The rows of words, each with the number of its input, by the order of positions."""
    if not measured:
        return []
    inputs = np.unique([number for number, _ in measured], return_inverse=True)[1]
    words = [word for _, word in measured]
    return [
        _row(order, words, inputs.astype(np.int64), first=place == 0) for place, order in enumerate(words[0].curves)
    ]


def _row(order: str, words: Sequence[Faithfulness], inputs: npt.NDArray[np.int64], *, first: bool) -> FaithfulnessScore:
    lost = np.array([word.comprehensiveness(order) for word in words])
    missing = np.array([word.sufficiency(order) for word in words])
    low, high = _interval(lost[:, FRACTIONS.index(0.2)], inputs)
    areas = np.array([(word.deletion_area(order), word.insertion_area(order)) for word in words]).mean(axis=0)
    return FaithfulnessScore(
        order=order,
        words=len(words),
        comprehensiveness=tuple(lost.mean(axis=0).round(4).tolist()),
        sufficiency=tuple(missing.mean(axis=0).round(4).tolist()),
        low=low,
        high=high,
        deletion_area=round(float(areas[0]), 4),
        insertion_area=round(float(areas[1]), 4),
        supported=round(float(np.mean([word.supported for word in words])), 4) if first else None,
        rank_correlation=round(float(np.mean([word.rank_correlation for word in words])), 4) if first else None,
    )


def _interval(values: npt.NDArray[np.float64], inputs: npt.NDArray[np.int64]) -> tuple[float, float]:
    draws, count = Bootstrap(), int(inputs.max()) + 1
    sums = np.stack([np.bincount(inputs, values, count), np.bincount(inputs, minlength=count)], axis=1)
    drawn = np.random.default_rng(draws.seed).integers(0, count, (draws.num_draws, count))
    totals = sums[drawn].sum(axis=1)
    tails = (1 - draws.confidence) / 2
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [tails, 1 - tails])
    return round(float(low), 4), round(float(high), 4)
