"""Measurements over many inputs are means over their words, with intervals over inputs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from regard.evaluation.faithfulness import measure_faithfulness, summarise
from regard.faithfulness import FRACTIONS, OCCLUSION, RANDOM, WEIGHTS, Curve, Faithfulness
from regard.pipeline import Captioner, Translator
from regard.saved.bundle import Bundle


def word(lost: float) -> Faithfulness:
    """A word that loses ``lost`` without any share of what it looked at, and nothing at random."""
    curves = {
        WEIGHTS: Curve((-1 - lost,) * len(FRACTIONS), (-1.0,) * len(FRACTIONS)),
        RANDOM: Curve((-1.0,) * len(FRACTIONS), (-3.0,) * len(FRACTIONS), (0.01,) * len(FRACTIONS)),
    }
    return Faithfulness(-1.0, -4.0, curves, (lost, 0.0), (0.9, 0.1))


def test_rows_are_means() -> None:
    own, random = summarise([(0, word(2.0)), (0, word(1.0)), (5, word(0.0))])
    assert (own.order, own.words) == (WEIGHTS, 3)
    assert own.comprehensiveness == (1.0,) * len(FRACTIONS)
    assert own.low <= 1.0 <= own.high
    assert own.supported == pytest.approx(2 / 3, abs=1e-4)
    assert own.rank_correlation == pytest.approx(2 / 3, abs=1e-4)
    assert random.sufficiency == (2.0,) * len(FRACTIONS)
    assert random.supported is None
    heights = [math.exp(each) for each in (-1, *[-1] * len(FRACTIONS), -4)]
    edges = [0, *FRACTIONS, 1]
    area = sum((edges[i + 1] - edges[i]) * (heights[i] + heights[i + 1]) / 2 for i in range(len(edges) - 1))
    assert random.deletion_area == pytest.approx(area, abs=1e-4)
    assert summarise([]) == []


def test_models_are_measured_on_a_split(
    tiny_captioner: Bundle, captioned_folder: Path, tiny_translator: Bundle, parallel_folder: Path
) -> None:
    rows = measure_faithfulness(Captioner(tiny_captioner), captioned_folder, "dev", inputs=2)
    assert {row.order for row in rows} >= {WEIGHTS, RANDOM, OCCLUSION}
    rows = measure_faithfulness(Translator(tiny_translator), parallel_folder, "val", inputs=2)
    assert rows[0].words > 0
