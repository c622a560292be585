"""Intervals hold the score, and p-values fall where one model is better on nearly every input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regard.errors import ConfigError, ModelError
from regard.evaluation.compare.significance import Written, judge, stored_texts
from regard.metrics import score_captions
from regard.saved.manifest import sha256, write_manifest

WORDS = ["red", "blue", "green", "white", "dog", "cat", "car", "tree", "house", "ball"]
REFERENCES = [[f"a {first} {second} here", f"the {first} {second}"] for first in WORDS for second in WORDS[::-1]]
RIGHT = [group[0] for group in REFERENCES]


def written(texts: list[str]) -> Written:
    return Written([], texts, REFERENCES)


def wrong(every: int, *, start: int = 0) -> list[str]:
    return ["a thing" if number % every == start else text for number, text in enumerate(RIGHT)]


def test_captions_and_their_intervals() -> None:
    best, equal, worse = judge([[written(RIGHT)], [written(RIGHT)], [written(wrong(2))]], 0)
    assert (best.p_value, equal.p_value, worse.p_value) == (None, 1.0, 0.0)
    assert (best.low, best.high) == (equal.low, equal.high)
    assert worse.low < worse.high < best.low


def test_seeds_that_differ_make_intervals_wider() -> None:
    seeds = [[written(wrong(10, start=1))] * 3, [written(wrong(3)), written(wrong(20)), written(RIGHT)]]
    alike, unlike = judge(seeds, 0)
    assert unlike.high - unlike.low > alike.high - alike.low


def test_translations_are_judged_by_bleu() -> None:
    references = [f"{text} and nothing more" for text in RIGHT]
    good = Written([], references, references)
    bad = Written([], [text.replace("nothing", "all") for text in references], references)
    first, second = judge([[good], [bad]], 0)
    assert (first.low, first.high) == pytest.approx((100, 100))
    assert second.p_value == 0


def test_the_interval_of_several_data_sets_is_that_of_the_mean_of_their_scores() -> None:
    size = 20
    texts = [*wrong(10)[:size], *["a thing"] * (len(RIGHT) - size)]
    sizes = [size, len(RIGHT) - size]
    (separate,) = judge([[Written([], texts, REFERENCES, sizes)]], 0)
    good, bad = (
        score_captions(texts[part], REFERENCES[part]).as_dict()["cider"] for part in (slice(size), slice(size, None))
    )
    assert separate.low < (good + bad) / 2 < separate.high
    (joined,) = judge([[written(texts)]], 0)
    assert joined.high < separate.low, "as one set, the small one would count less"


@pytest.mark.parametrize("references", [REFERENCES[:-1], [*REFERENCES, ["one more"]], REFERENCES[::-1]])
def test_models_that_were_validated_on_other_inputs_are_not_paired(references: list[list[str]]) -> None:
    other = Written([], [group[0] for group in references], references)
    with pytest.raises(ConfigError, match="unequal validation inputs"):
        judge([[written(RIGHT)], [other]], 0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run whose best model wrote two texts."""
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "weights").write_text("first")
    write_manifest(tmp_path / "best")
    texts = {"inputs": ["one", "two"], "hypotheses": ["eins", "zwei"], "references": ["eins", "zwo"]}
    values = {"version": 1, "model": sha256(tmp_path / "best" / "manifest.json"), **texts}
    (tmp_path / "validation.json").write_text(json.dumps(values))
    return tmp_path


def test_texts_of_a_former_best_model_are_not_taken(run: Path) -> None:
    assert stored_texts(run) == Written(["one", "two"], ["eins", "zwei"], ["eins", "zwo"])
    (run / "best" / "weights").write_text("second")
    write_manifest(run / "best")
    assert stored_texts(run) is None


@pytest.mark.parametrize("damage", [{"hypotheses": None}, {"hypotheses": [1, 2]}, {"references": "eins"}])
def test_a_damaged_file_of_texts_is_one_error(run: Path, damage: dict[str, object]) -> None:
    values = json.loads((run / "validation.json").read_text())
    (run / "validation.json").write_text(json.dumps({**values, **damage}))
    with pytest.raises(ModelError, match=f"validation.json: has no usable {next(iter(damage))}"):
        stored_texts(run)
