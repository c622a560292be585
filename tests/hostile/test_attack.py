"""A quick part of the attacks of ``make test-hostile``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ATTACK = Path(__file__).parent / "attack.py"


@pytest.mark.skipif(sys.platform == "win32", reason="attacks run in forks, which Windows has not")
def test_nothing_breaks_it_in_half_a_minute() -> None:
    done = subprocess.run([sys.executable, str(ATTACK), "--quick"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 0 failed") == 5
