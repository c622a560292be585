"""``regard export`` and ``--runtime onnx``: the same lines as with torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regard.cli import main

pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

pytestmark = pytest.mark.usefixtures("only_shipped")


def lines(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(words) == 0
    return capsys.readouterr().out.splitlines()


def test_an_export_is_a_model_like_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, place = tmp_path / "a.png", tmp_path / "place"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (70, 90, 3), np.uint8)).save(photo)
    (line,) = lines(["export", "looker", "--onnx", "--output", str(place), "--json"], capsys)
    said = json.loads(line)
    assert said["folder"] == str(place)
    assert said["difference"] < 1e-4
    assert said["bytes"] == {name: (place / name).stat().st_size for name in ("decoder.onnx", "encoder.onnx")}
    with_torch = lines(["caption", str(photo), "--model", "looker"], capsys)
    for runtime in ([], ["--runtime", "onnx"]):
        assert lines(["caption", str(photo), "--model", str(place), *runtime], capsys) == with_torch
    assert main(["caption", str(photo), "--model", str(place), "--runtime", "torch"]) == 1
    assert "is an exported model, which torch does not run" in capsys.readouterr().err


def test_a_model_is_exported_on_the_way_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGARD_CACHE", str(tmp_path))
    words = ["translate", "two dogs", "--model", "speaker"]
    with_torch = lines(words, capsys)
    for note in ("exporting speaker to ONNX, once; this takes a while\n", ""):
        assert main([*words, "--runtime", "onnx"]) == 0
        out, err = capsys.readouterr()
        assert out.splitlines() == with_torch
        assert err.endswith(note) if note else "exporting" not in err


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "looker"]) == 2
    assert "say in which form: --onnx" in capsys.readouterr().err
    assert main(["export", "lookr", "--onnx"]) == 1
    assert "did you mean 'looker'?" in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    assert main(["export", "looker", "--onnx", "--output", str(tmp_path / "mine")]) == 1
    assert "is there already and is no exported model" in capsys.readouterr().err
    assert main(["evaluate", "looker", str(tmp_path), "--split", "dev", "--runtime", "tensorflow"]) == 1
    assert "there is no runtime 'tensorflow'; allowed: torch, onnx" in capsys.readouterr().err
