"""Numbers that mean what they say: logistic regression from what a model knows to how often it is right.

    p(right | x) = σ(b + Σ_j w_j (x_j − μ_j) / s_j)

fitted by iteratively reweighted least squares with an L2 penalty (Hastie et al. 2009, §4.4.1 and eq. 4.31). With one
feature, the log-odds of the model's own probability, it is Platt scaling (Platt 1999). How well it does is measured on
examples that it did not see: the expected calibration error over bins of equal size (Guo et al. 2017, eq. 3; Nguyen &
O'Connor 2015 for equal sizes), precision at coverage, and the area under the ROC curve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regard.errors import ModelError
from regard.faithfulness import Floats

Bools = npt.NDArray[np.bool_]
PENALTY = 1.0
ROUNDS = 50
BINS = 10
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
            assert isinstance(values, Mapping), "an object"
            names = tuple(str(name) for name in values["features"])
            columns = [tuple(float(each) for each in values[key]) for key in ("means", "scales", "weights")]
            intercept = float(values["intercept"])
            finite = np.isfinite([*columns[0], *columns[1], *columns[2], intercept]).all()
            assert all(len(column) == len(names) for column in columns), "a number for each feature"
            assert finite, "finite numbers"
            assert all(scale > 0 for scale in columns[1]), "positive scales"
            assert set(names) <= set(known), "known features"
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{origin}: is no calibration of this version ({error!s:.80})") from None
        return cls(names, *columns, intercept)


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
    columns = (tuple(column.tolist()) for column in (means, scales, found[1:]))
    return Logistic(tuple(features), *columns, float(found[0]))


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
