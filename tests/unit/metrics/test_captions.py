import json

import pytest

from regard.errors import DataError
from regard.metrics import score_captions

HYPOTHESES = ["A dog runs on the beach .", "Two men are sitting on a bench ."]
REFERENCES = [
    ["A brown dog is running on the sand.", "The dog runs along the beach."],
    ["Two men sit on a bench in the park.", "A pair of men on a bench"],
]


def test_scores_are_times_one_hundred_and_carry_their_signature() -> None:
    scores = score_captions(HYPOTHESES, REFERENCES)
    assert scores.count == 2
    assert 100 > scores["bleu1"] > scores["bleu2"] > scores["bleu3"] > scores["bleu4"] > 0
    assert 0 < scores["rouge_l"] < 100
    assert 0 < scores["cider"] < 1000
    assert scores.signature == (
        "regard|captions|refs:2|tok:ptb-lower-nopunct|bleu:closest|cider-d:corpus-df|rouge-l:beta-1.2|v1"
    )
    assert "meteor" not in scores.values


def test_as_dict_is_plain_data_without_what_was_not_asked_for() -> None:
    plain = score_captions(HYPOTHESES, REFERENCES).as_dict()
    assert list(plain) == ["count", "bleu1", "bleu2", "bleu3", "bleu4", "cider", "rouge_l", "signature"]
    assert json.loads(json.dumps(plain)) == plain


def test_case_and_punctuation_do_not_count() -> None:
    shouted = [hypothesis.upper().replace(".", "!") for hypothesis in HYPOTHESES]
    assert score_captions(shouted, REFERENCES) == score_captions(HYPOTHESES, REFERENCES)


def test_copied_references_score_one_hundred() -> None:
    scores = score_captions([group[0] for group in REFERENCES], [[group[0]] for group in REFERENCES])
    assert scores["bleu4"] == pytest.approx(100, abs=1e-5)
    assert scores["rouge_l"] == pytest.approx(100, abs=1e-9)
    assert scores["cider"] == pytest.approx(1000, abs=1e-9)


def test_the_order_of_images_and_of_references_changes_nothing() -> None:
    turned = score_captions(HYPOTHESES[::-1], [group[::-1] for group in REFERENCES[::-1]])
    expected = score_captions(HYPOTHESES, REFERENCES)
    assert turned.as_dict() == pytest.approx(expected.as_dict(), abs=1e-9)


def test_one_image_has_no_cider_and_empty_captions_score_nothing() -> None:
    single = score_captions(HYPOTHESES[:1], REFERENCES[:1])
    assert single["cider"] == 0
    assert single["bleu1"] > 0
    silent = score_captions(["", " . "], REFERENCES)
    assert silent["bleu4"] == pytest.approx(0, abs=1e-6)
    assert silent["cider"] == silent["rouge_l"] == 0


def test_unequal_numbers_of_references_are_said_in_the_signature() -> None:
    assert "|refs:var|" in score_captions(HYPOTHESES, [REFERENCES[0], REFERENCES[1][:1]]).signature


def test_input_that_cannot_be_scored_is_refused() -> None:
    with pytest.raises(DataError, match="1 hypotheses, 2 references"):
        score_captions(HYPOTHESES[:1], REFERENCES)
    with pytest.raises(DataError, match="the corpus is empty"):
        score_captions([], [])
    with pytest.raises(DataError, match="item 0 are one string"):
        score_captions(HYPOTHESES, ["A dog .", "Two men ."])
    with pytest.raises(DataError, match="item 1 has no reference"):
        score_captions(HYPOTHESES, [REFERENCES[0], []])
