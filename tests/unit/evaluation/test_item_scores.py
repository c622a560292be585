"""Each text beside its references: its own scores add up to those of the split where scores do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regard.evaluation.item_scores import write_caption_scores, write_translation_scores
from regard.evaluation.outputs import Outputs
from regard.metrics import score_captions


def test_captions(tmp_path: Path) -> None:
    references = [["A dog runs.", "a brown dog"], ["two cats"], ["a red car on a street", "a car"]]
    texts = ["a dog runs", "a cat", "a car on a street"]
    write_caption_scores(tmp_path / "s.jsonl", Outputs(["1.jpg", "2.jpg", "3.jpg"], texts, references, 1.0))
    rows = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == ["1.jpg", "2.jpg", "3.jpg"]
    assert [row["references"] for row in rows] == references
    assert sum(row["cider"] for row in rows) / 3 == pytest.approx(score_captions(texts, references)["cider"], abs=0.01)
    assert rows[0]["bleu4"] > rows[1]["bleu4"]


def test_translations(tmp_path: Path) -> None:
    outputs = Outputs(["Ein Hund.", "Eine Katze."], ["A dog runs fast.", "A cow."], ["A dog runs fast.", "A cat."], 1.0)
    write_translation_scores(tmp_path / "s.jsonl", outputs)
    rows = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert rows[0] == {
        "source": "Ein Hund.",
        "translation": "A dog runs fast.",
        "reference": "A dog runs fast.",
        "bleu": 100.0,
    }
    assert 0 <= rows[1]["bleu"] < 100
