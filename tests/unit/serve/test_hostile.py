"""A part of the attacks of ``tests/hostile/attack_service.py``, and the description's promises."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from .conftest import Running


@pytest.fixture(scope="module")
def attack() -> ModuleType:
    path = Path(__file__).parents[2] / "hostile" / "attack_service.py"
    spec = importlib.util.spec_from_file_location("attack_service", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_damaged_images_end_in_a_caption_or_a_refusal(service: Running, attack: ModuleType) -> None:
    target = attack.Target(service.port)
    before = target.restarts()
    outcomes = attack.attack_with_images(target, 150, seed=1)
    assert set(outcomes) <= {200, 422}
    assert target.restarts() == before


def test_hostile_requests_end_in_a_refusal_or_a_closed_connection(service: Running, attack: ModuleType) -> None:
    outcomes = attack.attack_with_requests(attack.Target(service.port), 150, seed=1)
    assert all(status < 500 for status in outcomes)
    assert service.get("/readyz").status == 200


def test_nobody_gets_the_answer_of_another(service: Running, attack: ModuleType) -> None:
    assert dict(attack.ask_with_codes(attack.Target(service.port), 150)) == {"own": 150}


def test_the_service_does_what_its_description_says(service: Running, tmp_path: Path) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    program = "import sys; from schemathesis.cli import schemathesis; sys.argv[0] = 'st'; schemathesis()"
    url = f"http://127.0.0.1:{service.port}/openapi.json"
    options = ["--checks", "all", "--exclude-checks", "positive_data_acceptance", "--phases", "fuzzing"]
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        program,
        "run",
        url,
        *options,
        "--max-examples",
        "4",
        "--seed",
        "1",
    ]
    done = subprocess.run(
        [*command, "--no-color"], capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
