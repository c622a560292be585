"""The talk with METEOR's program, played by a script; the program itself is in the parity tests."""

import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from regard.errors import DependencyError, RegardError
from regard.metrics import corpus_meteor, meteor, score_captions

CORRECT = """
import sys
for line in sys.stdin:
    kind, *parts = line.rstrip("\\n").split(" ||| ")
    if kind == "SCORE":
        print(len(parts), sum(part == parts[-1] for part in parts) - 1, flush=True)
    else:
        shares = [int(hits) / (int(count) - 1) for count, hits in map(str.split, parts)]
        print(*shares, sum(shares) / len(shares), sep="\\n", flush=True)
"""


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def _play(code: str) -> None:
        script = tmp_path / "program"
        script.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(meteor, "meteor_command", lambda: ([str(script)], tmp_path))

    return _play


def test_each_item_is_asked_for_and_the_last_answer_is_the_score(play: Callable[[str], None]) -> None:
    play(CORRECT)
    assert corpus_meteor([["a", "b"], ["c"]], [[["a", "b"], ["a"]], [["c"]]]) == pytest.approx(0.75)


def test_the_separator_inside_a_caption_does_not_break_the_talk(play: Callable[[str], None]) -> None:
    play(CORRECT)
    assert corpus_meteor([["a", "|||", "b"]], [[["a", "b"]]]) == 1.0


def test_scores_of_captions_take_it_in(play: Callable[[str], None]) -> None:
    play(CORRECT)
    scores = score_captions(["A dog ."], [["a dog"]], also=["meteor"])
    assert scores["meteor"] == 100
    assert scores.as_dict()["meteor"] == 100
    assert "|meteor:1.5-en-norm|" in scores.signature


@pytest.mark.parametrize("code", ["", "import sys; sys.stdin.readline(); print('Error: no memory')"])
def test_a_program_that_stops_is_one_clear_line(play: Callable[[str], None], code: str) -> None:
    play(code)
    with pytest.raises(RegardError, match="stopped early; check that 'java -version' works"):
        corpus_meteor([["a"]] * 50, [[["a"]]] * 50)


def test_without_java_or_without_the_package_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycocoevalcap", reason="the optional package pycocoevalcap is not installed")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DependencyError, match=r"METEOR needs .*java.* install a Java runtime"):
        corpus_meteor([["a"]], [[["a"]]])
    monkeypatch.setattr(meteor.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"pycocoevalcap.*regard\[metrics\]"):
        corpus_meteor([["a"]], [[["a"]]])
