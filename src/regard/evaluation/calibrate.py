"""Fits the calibration of a captioner on half of some photos, and measures it on the rest.

A content word is right where it is in one of the photo's captions by people, in any form
(:mod:`regard.evidence.reference_words`). A caption is accepted where its CIDEr-D against them is no less than what all
but the worst fifth of people's own captions of that data set reach against the others of their photo; of pictures of
other kinds (:mod:`regard.evaluation.odd_photos`) none is. The bar belongs to the set because people agree more on some
photos than on others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from regard.data.images import ImageSource
from regard.data.readers import read_captioned_images
from regard.errors import DataError, ModelError
from regard.evaluation.odd_photos import odd_photo
from regard.evidence.calibration import (
    CAPTION_FEATURES,
    WORD_FEATURES,
    Bools,
    Calibration,
    Integers,
    Logistic,
    calibration_error,
    choose_features,
    fit_logistic,
    log_loss,
    precision_at_coverage,
    reliability,
    roc_area,
)
from regard.evidence.reference_words import ReferenceWords, is_content_word
from regard.faithfulness import Floats
from regard.files import write_json_file
from regard.metrics.cider import CiderD
from regard.metrics.resampling import Bootstrap
from regard.pipeline import Captioner
from regard.pipeline.confidence import caption_features, word_evidence, word_features
from regard.pipeline.generation import Generation
from regard.progress import Progress, Silent
from regard.saved.bundle import CALIBRATION, VERSION
from regard.saved.manifest import write_manifest
from regard.text.captions import caption_tokens

WORST_SHARE = 0.2
"""The share of people's own captions that lies below the bar."""
USUAL_BAR = 0.4
"""The bar where each photo has one caption and nobody knows how people agree: CIDEr-D without the factor of 100."""
ODD_PHOTOS = 140
"""Pictures of other kinds, half of them to fit and half to measure."""
ODD = "other kinds"
LEAST_PHOTOS = 20
"""A set of fewer tells nothing."""
SMALLEST_SPREAD = 1e-6
NOTHING = Logistic((), (), (), (), 0.0)
"""Stands where nothing is fitted yet."""
WORD_OPTIONS = (("log_odds",), ("log_odds", "caption"), WORD_FEATURES)
CAPTION_OPTIONS = (("caption",), ("caption", "novelty"), CAPTION_FEATURES)
"""The features that may be read, the first of each from probability alone (Platt scaling); cross-validation chooses."""


@dataclass(frozen=True)
class Measured:
    """How good predictions are on examples that they were not fitted on.

    Attributes:
        what: of what they are, and from what.
        count, right: how many examples, and the share of them that is right.
        error: the expected calibration error.
        roc_area, low, high: and its 95 % interval, over examples drawn again.
        log_loss: mean −log p of what was the case.
        precision_half, precision_most: of the surest 50 and 80 %.
    """

    what: str
    count: int
    right: float
    error: float
    roc_area: float
    low: float
    high: float
    log_loss: float
    precision_half: float
    precision_most: float


@dataclass(frozen=True)
class CalibrationReport:
    """What was fitted and what it is worth.

    Attributes:
        calibration: of the model.
        measured: on the half that it did not see.
        bins: of word evidence, mean prediction, share right and count, from the least sure to the surest.
        bars: the CIDEr-D from which on captions of each set are accepted.
    """

    calibration: Calibration
    measured: tuple[Measured, ...]
    bins: tuple[tuple[float, float, int], ...]
    bars: Mapping[str, float]

    def rows(self) -> list[dict[str, object]]:
        """The measurements as plain data."""
        return [asdict(each) for each in self.measured]


def calibrate(
    captioner: Captioner, data: Sequence[Path], *, split: str = "dev", progress: Progress | None = None
) -> CalibrationReport:
    """Fit a captioner's confidence on every other photo of some sets, and measure it on the others.

    Args:
        captioner: the model.
        data: folders of captioned images.
        split: of each; photos that the model did not learn from.
        progress: receives progress.

    Raises:
        DataError: the data cannot be used, or hold too few photos.
    """
    progress = progress or Silent()
    sets = [read_captioned_images(folder, split) for folder in data]
    for folder, images in zip(data, sets, strict=True):
        if len(images) < LEAST_PHOTOS:
            raise DataError(f"{folder}: has {len(images)} photos in {split}", allowed=f"{LEAST_PHOTOS} or more")
    progress.start("captions", sum(map(len, sets)) + ODD_PHOTOS)
    real = [_observe(captioner, images.paths, progress) for images in sets]
    odd = _observe(captioner, [odd_photo(number) for number in range(ODD_PHOTOS)], progress)
    means = np.stack([mean for own in real for _, mean in own[::2]])
    centre, spread = means.mean(axis=0), means.std(axis=0) + SMALLEST_SPREAD
    base = Calibration(NOTHING, NOTHING, centre, spread)
    generations = [_with_novelty(own, base) for own in (*real, odd)]
    words = [_words(own, images.captions) for own, images in zip(generations, sets, strict=False)]
    base, measured, bins = _fit_words(base, words, [folder.name for folder in data])
    judged = [_accepted(own, images.captions) for own, images in zip(generations, sets, strict=False)]
    captions = [*(accepted for accepted, _ in judged), np.zeros(ODD_PHOTOS, dtype=bool)]
    bars = {folder.name: bar for folder, (_, bar) in zip(data, judged, strict=True)}
    calibration, more = _fit_captions(base, generations, captions, [*(folder.name for folder in data), ODD])
    return CalibrationReport(calibration, (*measured, *more), bins, bars)


def save_calibration(calibration: Calibration, folder: Path) -> Path:
    """Store a calibration with the saved model in ``folder``.

    Raises:
        ModelError: it cannot be written.
    """
    path = folder / CALIBRATION
    try:
        write_json_file(path, {"version": VERSION, **calibration.to_dict()})
        write_manifest(folder)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written ({error.strerror})") from None
    return path


def _observe(
    captioner: Captioner, images: Sequence[ImageSource], progress: Progress
) -> list[tuple[Generation, Floats]]:
    found = []
    for each in captioner.observe(images):
        found.append(each)
        progress.advance(1)
    return found


def _with_novelty(observed: Sequence[tuple[Generation, Floats]], base: Calibration) -> list[Generation]:
    novelty = base.novelty(np.stack([mean for _, mean in observed])).tolist()
    return [replace(generation, novelty=each) for (generation, _), each in zip(observed, novelty, strict=True)]


@dataclass(frozen=True, eq=False)
class _Words:
    """The content words of some captions: features [word, feature], which are right, and the photo of each."""

    values: Floats
    right: Bools
    photos: Integers


def _words(generations: Sequence[Generation], captions: Sequence[Sequence[str]]) -> _Words:
    values, right, photos = [], [], []
    for number, (generation, own) in enumerate(zip(generations, captions, strict=True)):
        references, features = ReferenceWords(own), word_features(generation)
        for place, word in enumerate(generation.words):
            if is_content_word(word.text.lower()):
                values.append(features[place])
                right.append(word.text.lower() in references)
                photos.append(number)
    return _Words(np.array(values).reshape(-1, len(WORD_FEATURES)), np.array(right, dtype=bool), np.array(photos))


def _fit_words(
    base: Calibration, sets: Sequence[_Words], names: Sequence[str]
) -> tuple[Calibration, list[Measured], tuple[tuple[float, float, int], ...]]:
    values, right = np.concatenate([own.values for own in sets]), np.concatenate([own.right for own in sets])
    seen = is_seen(np.concatenate([own.photos for own in sets]))
    source = np.repeat(np.arange(len(sets)), [len(own.right) for own in sets])
    photos = np.concatenate([own.photos for own in sets])
    fitted, predictions = _fit(WORD_OPTIONS, WORD_FEATURES, values, right, photos, name="evidence")
    measured = []
    for group, chosen in [
        ("words", ~seen),
        *((f"words, {name}", ~seen & (source == i)) for i, name in enumerate(names)),
    ]:
        measured += [measure(f"{group}: {name}", p[chosen], right[chosen]) for name, p in predictions.items()]
    bins = tuple(reliability([*predictions.values()][-1][~seen], right[~seen]))
    return replace(base, word=fitted), measured, bins


def _fit(
    options: Sequence[Sequence[str]], names: Sequence[str], values: Floats, right: Bools, photos: Integers, *, name: str
) -> tuple[Logistic, dict[str, Floats]]:
    """The best of the options, fitted on what is seen, and what it and the first of them predict of everything."""
    seen = is_seen(photos)
    chosen = choose_features(options, names, values[seen], right[seen], photos[seen] // 2)
    found: list[tuple[Logistic, Floats]] = []
    for features in (options[0], chosen):
        own = values[:, [names.index(feature) for feature in features]]
        model = fit_logistic(features, own[seen], right[seen])
        found.append((model, model(own)))
    return found[1][0], {"probability alone": found[0][1], f"{name} ({', '.join(found[1][0].features)})": found[1][1]}


def is_seen(photos: Integers) -> Bools:
    """Which examples are fitted on: those of every other photo of a set."""
    seen: Bools = photos % 2 == 0
    return seen


def _accepted(generations: Sequence[Generation], captions: Sequence[Sequence[str]]) -> tuple[Bools, float]:
    """Which captions agree with people's as people's own do, and the CIDEr-D from which on they do."""
    references = [[caption_tokens(caption) for caption in own] for own in captions]
    cider = CiderD.from_references(references)
    scores = [
        cider.score(caption_tokens(generation.best.text), cider.reference_vectors(own))
        for generation, own in zip(generations, references, strict=True)
    ]
    bar = acceptance_bar(cider, references)
    return np.array(scores) >= bar, bar


def acceptance_bar(cider: CiderD, references: Sequence[Sequence[Sequence[str]]]) -> float:
    """The CIDEr-D that all but :data:`WORST_SHARE` of people's captions reach, the first of a photo against its others.

    Args:
        cider: of these captions.
        references: the captions of each photo, in tokens.
    """
    several = [own for own in references if len(own) > 1]
    scores = [cider.score(first, cider.reference_vectors(others)) for first, *others in several]
    return float(np.quantile(scores, WORST_SHARE)) if scores else USUAL_BAR


def _fit_captions(
    base: Calibration, sets: Sequence[Sequence[Generation]], accepted: Sequence[Bools], names: Sequence[str]
) -> tuple[Calibration, list[Measured]]:
    values = np.stack(
        [caption_features(generation, word_evidence(generation, base)) for own in sets for generation in own]
    )
    right = np.concatenate(accepted)
    source = np.repeat(np.arange(len(sets)), [len(own) for own in sets])
    photos = np.concatenate([np.arange(len(own)) for own in sets])
    seen = is_seen(photos)
    fitted, predictions = _fit(CAPTION_OPTIONS, CAPTION_FEATURES, values, right, photos, name="confidence")
    groups = [("captions", ~seen), ("captions, photos alone", ~seen & (source < len(sets) - 1))]
    groups += [(f"captions, {name}", ~seen & (source == i)) for i, name in enumerate(names)]
    measured = [
        measure(f"{group}: {name}", p[chosen], right[chosen])
        for group, chosen in groups
        for name, p in predictions.items()
    ]
    return replace(base, caption=fitted), measured


def measure(what: str, predicted: Floats, right: Bools, *, bootstrap: Bootstrap | None = None) -> Measured:
    """How good predictions are."""
    draws = bootstrap or Bootstrap(num_draws=400)
    random = np.random.default_rng(draws.seed)
    areas = []
    for _ in range(draws.num_draws):
        chosen = random.integers(0, len(right), len(right))
        areas.append(roc_area(predicted[chosen], right[chosen]))
    tails = (1 - draws.confidence) / 2
    low, high = np.quantile(areas, [tails, 1 - tails])
    numbers = (
        float(right.mean()),
        calibration_error(predicted, right),
        roc_area(predicted, right),
        float(low),
        float(high),
        log_loss(predicted, right),
        precision_at_coverage(predicted, right, 0.5),
        precision_at_coverage(predicted, right, 0.8),
    )
    return Measured(what, len(right), *(round(each, 4) for each in numbers))
