"""Calibration: logistic regression from features of a prediction to the probability that it is right.

    p(right | x) = σ(b + Σ_j w_j (x_j − μ_j) / s_j)

fitted by iteratively reweighted least squares with an L2 penalty (Hastie et al. 2009, §4.4.1 and eq. 4.31). With one
feature, the log-odds of the model's own probability, it is Platt scaling (Platt 1999). How well it does is measured on
examples that it did not see: the expected calibration error over bins of equal size (Guo et al. 2017, eq. 3; Nguyen &
O'Connor 2015 for equal sizes), precision at coverage, and the area under the ROC curve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regard.errors import ModelError
from regard.faithfulness import Floats

Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
PENALTY = 1.0
ROUNDS = 50
BINS, FOLDS = 10, 5
_LARGEST = 30.0
"""The largest log-odds that are told from certainty."""


@dataclass(frozen=True)
class Logistic:
    """A fitted model.

    Attributes:
        features: the names of what it reads, in order.
        means, scales: μ and s of each.
        weights: w of each.
        intercept: b.
    """

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def __call__(self, values: Floats) -> Floats:
        """p of each of values [example, feature]."""
        odds = self.intercept + ((values - np.array(self.means)) / np.array(self.scales)) @ np.array(self.weights)
        probabilities: Floats = 1 / (1 + np.exp(-odds.clip(-_LARGEST, _LARGEST)))
        return probabilities

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "features": list(self.features),
            "means": [round(each, 6) for each in self.means],
            "scales": [round(each, 6) for each in self.scales],
            "weights": [round(each, 6) for each in self.weights],
            "intercept": round(self.intercept, 6),
        }

    @classmethod
    def from_dict(cls, values: object, *, known: Sequence[str], origin: str) -> Logistic:
        """The model that :meth:`to_dict` wrote.

        Args:
            values: plain data of any kind.
            known: the features that there are.
            origin: the file, for messages.

        Raises:
            ModelError: it is none, or reads a feature that is not known.
        """
        try:
            read = dict(values) if isinstance(values, Mapping) else {}
            names = tuple(str(name) for name in read["features"])
            means, scales, weights = (tuple(map(float, read[key])) for key in ("means", "scales", "weights"))
            intercept = float(read["intercept"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"{origin}: is no calibration of this version ({error!s:.80})") from None
        sizes = {len(each) for each in (names, means, scales, weights)}
        finite = all(map(math.isfinite, (*means, *scales, *weights, intercept)))
        if len(sizes) > 1 or not finite or min(scales, default=1) <= 0 or not set(names) <= set(known):
            raise ModelError(f"{origin}: is no calibration of this version (features and numbers do not fit)")
        return cls(names, means, scales, weights, intercept)


@dataclass(frozen=True)
class Calibration:
    """What turns a captioner's features into numbers that a person can use.

    Attributes:
        word: the chance that a content word is in what people write of the photo.
        caption: the chance that people accept the caption.
        centre, spread: mean and standard deviation of each number of a photo's mean annotation, over the photos that
            it was fitted on.
    """

    word: Logistic
    caption: Logistic
    centre: Floats
    spread: Floats

    def novelty(self, means: Floats) -> Floats:
        """How far mean annotations [photo, dim] are from the centre: the log of the mean squared distance in standard
        deviations, 0 for a photo like those that it was fitted on."""
        distance = (((means - self.centre) / self.spread) ** 2).mean(axis=-1)
        novelty: Floats = np.log(distance + 1e-6)
        return novelty

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        numbers = {name: [float(f"{each:.5g}") for each in getattr(self, name)] for name in ("centre", "spread")}
        return {"word": self.word.to_dict(), "caption": self.caption.to_dict(), **numbers}

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], *, known: tuple[Sequence[str], Sequence[str]], origin: str
    ) -> Calibration:
        """What :meth:`to_dict` wrote.

        Args:
            values: plain data.
            known: the features of words and of captions that there are.
            origin: the file, for messages.

        Raises:
            ModelError: it is none.
        """
        word = Logistic.from_dict(values.get("word"), known=known[0], origin=origin)
        caption = Logistic.from_dict(values.get("caption"), known=known[1], origin=origin)
        try:
            centre, spread = (np.array(values[name], dtype=np.float64) for name in ("centre", "spread"))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{origin}: is no calibration of this version ({error!s:.80})") from None
        finite = bool(np.isfinite([centre.sum(), spread.sum()]).all()) and bool((spread > 0).all())
        if centre.ndim != 1 or centre.shape != spread.shape or not finite:
            raise ModelError(f"{origin}: is no calibration of this version (centre and spread do not fit)")
        return cls(word, caption, centre, spread)


WORD_FEATURES = ("log_odds", "caption", "classifier", "nameable", "novelty")
"""What is known of a word, see :mod:`regard.pipeline.confidence`."""
CAPTION_FEATURES = ("evidence", "caption", "novelty", "seen", "length")
"""What is known of a caption."""


def fit_logistic(features: Sequence[str], values: Floats, right: Bools) -> Logistic:
    """The model of some examples.

    Args:
        features: names of the columns.
        values: [example, feature].
        right: [example].
    """
    means, scales = values.mean(axis=0), values.std(axis=0)
    scales = np.where(scales > 1e-9, scales, 1.0)
    design = np.concatenate([np.ones((len(values), 1)), (values - means) / scales], axis=1)
    penalty = np.diag([0.0, *([PENALTY] * values.shape[1])])
    found = np.zeros(design.shape[1])
    for _ in range(ROUNDS):
        p = 1 / (1 + np.exp(-(design @ found).clip(-_LARGEST, _LARGEST)))
        gradient = design.T @ (right - p) - penalty @ found
        curvature = (design * (p * (1 - p))[:, None]).T @ design + penalty + 1e-9 * np.eye(len(found))
        step = np.linalg.solve(curvature, gradient)
        found = found + step
        if float(np.abs(step).max()) < 1e-8:
            break
    numbers = {"means": means, "scales": scales, "weights": found[1:]}
    columns = {name: tuple(float(each) for each in column) for name, column in numbers.items()}
    return Logistic(tuple(features), **columns, intercept=float(found[0]))


def choose_features(
    options: Sequence[Sequence[str]], names: Sequence[str], values: Floats, right: Bools, groups: Integers
) -> list[str]:
    """Those of several lists of features with the least log-loss under cross-validation in :data:`FOLDS` folds.

    Args:
        options: lists of features, the simplest first; of equals it is taken.
        names: of the columns.
        values: [example, feature].
        right: [example].
        groups: [example], numbers of what stays together, such as the words of a photo.
    """
    folds = groups % FOLDS

    def loss(features: Sequence[str]) -> float:
        own, total = values[:, [names.index(feature) for feature in features]], 0.0
        for fold in range(FOLDS):
            left_out = folds == fold
            model = fit_logistic(features, own[~left_out], right[~left_out])
            total += log_loss(model(own[left_out]), right[left_out]) * float(left_out.mean())
        return total

    losses = [loss(features) for features in options]
    return list(options[losses.index(min(losses))])


def reliability(predicted: Floats, right: Bools, *, bins: int = BINS) -> list[tuple[float, float, int]]:
    """Mean prediction, share that is right, and count, in bins of equal size from the least sure to the surest."""
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [(float(predicted[part].mean()), float(right[part].mean()), len(part)) for part in parts]


def calibration_error(predicted: Floats, right: Bools, *, bins: int = BINS) -> float:
    """The expected calibration error: Σ_b n_b / n · |share right − mean prediction|."""
    found = reliability(predicted, right, bins=bins)
    return sum(count * abs(share - mean) for mean, share, count in found) / max(1, len(predicted))


def precision_at_coverage(predicted: Floats, right: Bools, coverage: float) -> float:
    """How many of the surest share of examples are right."""
    kept = np.argsort(-predicted, kind="stable")[: max(1, round(coverage * len(predicted)))]
    return float(right[kept].mean())


def roc_area(predicted: Floats, right: Bools) -> float:
    """The chance that a right example is surer than a wrong one; ties count half. 0.5 where all are of one kind."""
    num_right, num_wrong = int(right.sum()), int((~right).sum())
    if not num_right or not num_wrong:
        return 0.5
    _, places, sizes = np.unique(predicted, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    ranks = ((last - sizes + 1 + last) / 2)[places]
    return float((ranks[right].sum() - num_right * (num_right + 1) / 2) / (num_right * num_wrong))


def log_loss(predicted: Floats, right: Bools) -> float:
    """Mean −log p of what happened."""
    p = predicted.clip(1e-9, 1 - 1e-9)
    return float(-np.where(right, np.log(p), np.log(1 - p)).mean())
