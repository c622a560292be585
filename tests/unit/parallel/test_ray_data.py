"""Work on a Ray cluster, where there is none; tests/integration/test_ray.py has one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from regard.cli import main
from regard.errors import DependencyError, WorkerError
from regard.parallel.ray_data import _told, map_on_ray


def test_without_the_package_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DependencyError, match=r'a Ray cluster needs the package .*pip install "regard\[ray\]"'):
        list(map_on_ray(dict, len, [1]))


@pytest.mark.parametrize(
    "command", [["caption", "photo.jpg", "--ray"], ["translate", "--file", "in.txt", "--to", "de", "--ray"]]
)
def test_a_cluster_writes_files_alone(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command) == 2
    assert "--ray needs --output" in capsys.readouterr().err


def test_the_error_of_an_actor_is_told_and_not_how_it_travelled() -> None:
    ours = DependencyError("onnx", extra="onnx", purpose="running the model")
    travelled = RuntimeError("a traceback of\nmany lines")
    travelled.__cause__ = ValueError("wrapped")
    travelled.__cause__.__cause__ = ours
    assert _told(travelled) is ours
    quoted = _told(RuntimeError("a traceback of\nmany lines\n"))
    assert isinstance(quoted, WorkerError)
    assert str(quoted).startswith("Ray: many lines; without --ray")
