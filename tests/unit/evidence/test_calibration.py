"""Fitted numbers mean what they say, and measures equal their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from regard.errors import ModelError
from regard.evidence.calibration import (
    Logistic,
    calibration_error,
    choose_features,
    fit_logistic,
    log_loss,
    precision_at_coverage,
    reliability,
    roc_area,
)


def examples(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, 3)) * [1, 5, 0.1] + [0, 3, 1]
    odds = 1.5 * values[:, 0] - 0.3 * (values[:, 1] - 3) + 0.5
    return values, random.random(count) < 1 / (1 + np.exp(-odds))


def test_a_fit_finds_the_model_that_made_the_examples_and_is_calibrated_on_others() -> None:
    values, right = examples(6000)
    model = fit_logistic(["a", "b", "c"], values, right)
    slopes = np.array(model.weights) / np.array(model.scales)
    assert slopes[:2] == pytest.approx([1.5, -0.3], abs=0.1)
    assert abs(slopes[2]) < 1
    unseen, truth = examples(6000, seed=1)
    predicted = model(unseen)
    assert calibration_error(predicted, truth) < 0.03
    assert roc_area(predicted, truth) > 0.8
    alone = fit_logistic(["a"], values[:, :1], right)
    assert log_loss(predicted, truth) < log_loss(alone(unseen[:, :1]), truth)


def test_constant_and_separable_examples_are_no_trouble() -> None:
    values = np.array([[0.0, 1.0]] * 5 + [[1.0, 1.0]] * 5)
    model = fit_logistic(["a", "b"], values, values[:, 0] > 0.5)
    assert (model(values) > 0.5).tolist() == [False] * 5 + [True] * 5


def test_a_model_survives_its_file() -> None:
    values, right = examples(300)
    model = fit_logistic(["a", "b", "c"], values, right)
    again = Logistic.from_dict(model.to_dict(), known=["a", "b", "c", "d"], origin="here")
    assert again(values) == pytest.approx(model(values), abs=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        {"features": ["a", "z"]},
        {"scales": [1.0]},
        {"scales": [0.0, 1.0]},
        {"weights": [1.0, "many"]},
        {"weights": [1.0, float("nan")]},
        {"intercept": None},
    ],
    ids=str,
)
def test_a_damaged_file_is_refused(change: dict[str, object]) -> None:
    good = {"features": ["a", "b"], "means": [0, 0], "scales": [1, 1], "weights": [1, 2], "intercept": 0.5}
    Logistic.from_dict(good, known=["a", "b"], origin="here")
    for values in ({**good, **change}, [], None, {}):
        with pytest.raises(ModelError, match="here: is no calibration"):
            Logistic.from_dict(values, known=["a", "b"], origin="here")


def test_measures_equal_their_definitions_by_hand() -> None:
    predicted = np.array([0.1, 0.2, 0.8, 0.9])
    right = np.array([False, True, True, True])
    assert reliability(predicted, right, bins=2) == [
        (pytest.approx(0.15), 0.5, 2),
        (pytest.approx(0.85), 1.0, 2),
    ]
    assert calibration_error(predicted, right, bins=2) == pytest.approx((2 * 0.35 + 2 * 0.15) / 4)
    assert precision_at_coverage(predicted, right, 0.5) == 1
    assert precision_at_coverage(predicted, right, 1.0) == 0.75
    assert roc_area(predicted, right) == 1
    assert roc_area(np.array([0.5, 0.5, 0.1]), np.array([True, False, False])) == pytest.approx(0.75)
    assert roc_area(predicted, np.ones(4, dtype=bool)) == 0.5


def test_the_features_that_predict_best_are_chosen() -> None:
    values, right = examples(2000)
    names, groups = ["a", "b", "c"], np.arange(2000)
    assert choose_features([["c"], ["a", "b"]], names, values, right, groups) == ["a", "b"]
    assert choose_features([["a"], ["c"]], names, values, right, groups) == ["a"]
