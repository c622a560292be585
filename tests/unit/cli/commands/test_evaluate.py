"""``regard evaluate`` does what every option says, or refuses it."""

from __future__ import annotations

import pytest

from regard.cli import main


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--pointing", "--robustness"], "--pointing and --robustness exclude each other"),
        (["--split", "dev", "--faithfulness", "3", "--meteor"], "--faithfulness and --meteor exclude each other"),
        (["--split", "dev", "--faithfulness", "3", "--beam", "2"], "without --beam and --set"),
        (["--split", "dev", "--faithfulness", "3", "--set", "no_repeat=2"], "without --beam and --set"),
        (["--pointing", "--split", "dev"], "without --split"),
        (["--split", "dev", "--robustness", "--output", "scores.jsonl"], "--output goes without --robustness"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    options: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "looker", "photos", *options]) == 2
    assert part in capsys.readouterr().err
