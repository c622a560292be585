"""A quick part of the attacks of ``make test-hostile``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ATTACK = Path(__file__).parent / "attack.py"


@pytest.mark.skipif(sys.platform == "win32", reason="attacks run in forks, which Windows has not")
def test_nothing_breaks_it_in_half_a_minute_and_what_was_tried_is_kept(tmp_path: Path) -> None:
    report = tmp_path / "attacks.md"
    command = [sys.executable, str(ATTACK), "--quick", "--journal", str(tmp_path / "j"), "--report", str(report)]
    first, again = (subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(2))
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.count(" 0 failed") == 5
    assert again.stdout == first.stdout, "nothing was tried a second time"
    rows = report.read_text(encoding="utf-8").splitlines()
    assert sum(" | 0 | " in row for row in rows) == 5
