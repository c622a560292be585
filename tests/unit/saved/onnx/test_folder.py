"""An exported model is a folder that stands by itself; what is wrong with one is said in one line."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import regard
from regard.errors import ConfigError, DependencyError, ModelError
from regard.pipeline import load, load_captioner, load_translator
from regard.saved.bundle import Bundle, is_exported, save_bundle
from regard.saved.onnx import default_place, export_onnx, folder, load_onnx, needs_export

pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


@pytest.fixture(scope="module")
def captioner(tiny_captioner: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The saved model."""
    return save_bundle(tiny_captioner, tmp_path_factory.mktemp("saved") / "looker", precision="float32")


@pytest.fixture(scope="module")
def translator(tiny_translator: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The saved model."""
    return save_bundle(tiny_translator, tmp_path_factory.mktemp("saved") / "speaker", precision="float32")


@pytest.fixture(scope="module")
def exported(captioner: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The captioner's export."""
    place = tmp_path_factory.mktemp("exported") / "deep" / "looker"
    assert export_onnx(captioner, place) < 1e-5
    return place


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of its own for the tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("cache")
        patch.setenv("REGARD_CACHE", str(place))
        yield place


def photos() -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    return [rng.integers(0, 256, (61 + 9 * i, 83, 3), dtype=np.uint8) for i in range(7)]


def test_an_export_captions_without_the_model(exported: Path, captioner: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(exported, alone)
    assert not (alone / "weights.safetensors").exists()
    graphs, model = load_captioner(alone), load_captioner(captioner)
    assert graphs.bundle.card == model.bundle.card
    assert graphs.bundle.metrics == model.bundle.metrics
    for one, other in zip(model.caption_many(photos()), graphs.caption_many(photos()), strict=True):
        assert isinstance(one, regard.Caption)
        assert isinstance(other, regard.Caption)
        assert (one.text, [each.text for each in one.alternatives]) == (
            other.text,
            [each.text for each in other.alternatives],
        )
        assert other.score == pytest.approx(one.score, abs=1e-4)
        assert other.regions == one.regions
        for mine, theirs in zip(one.words, other.words, strict=True):
            np.testing.assert_allclose(theirs.weights, mine.weights, atol=1e-4)


def test_a_translator_is_exported_once_to_the_cache(translator: Path, cache: Path) -> None:
    assert needs_export(translator)
    graphs, model = load_translator(translator, runtime="onnx"), load_translator(translator)
    (place,) = (cache / "onnx").glob("*-*")
    assert is_exported(place)
    assert not needs_export(translator)
    written = (place / "decoder.onnx").stat().st_mtime_ns
    load_translator(translator, runtime="onnx")
    assert (place / "decoder.onnx").stat().st_mtime_ns == written
    texts = ["Two dogs run.", "A girl.", "", "A man in red jumps over a log near a car and some people sit."]
    for one, other in zip(model.translate_many(texts), graphs.translate_many(texts), strict=True):
        assert isinstance(one, regard.Translation)
        assert isinstance(other, regard.Translation)
        assert one.text == other.text
        np.testing.assert_allclose(other.alignment, one.alignment, atol=1e-4)
    first = model.translate(texts[0], alternatives=0)
    others = [[each.text for each in which.alternatives_for(first, 0)] for which in (model, graphs)]
    assert others[0] == others[1]


def test_workers_run_the_graphs_too(translator: Path, cache: Path) -> None:
    texts = ["Two dogs run.", "A girl.", "", "A man in red jumps."] * 3
    alone = [str(each) for each in load_translator(translator, runtime="onnx").translate_many(texts)]
    with load_translator(translator, runtime="onnx", workers=2) as graphs:
        assert [str(each) for each in graphs.translate_many(texts, batch=4)] == alone
        assert graphs._workers is not None
        assert len(graphs._workers._alive) == 2
    assert len(list((cache / "onnx").glob("*-*"))) == 1


def test_another_model_of_the_same_name_is_exported_anew(translator: Path, cache: Path, tmp_path: Path) -> None:
    other = tmp_path / translator.name
    shutil.copytree(translator, other)
    assert folder.cached_export(other) == folder.cached_export(translator)
    weights = bytearray((other / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "weights.safetensors").write_bytes(weights)
    assert folder.cached_export(other) != folder.cached_export(translator)
    assert folder.cached_export(other).parent == cache / "onnx"


def test_an_export_takes_the_place_of_an_export_and_of_nothing_else(
    exported: Path, captioner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(bundle: Bundle, place: Path) -> float:
        (place / "new").write_text("")
        return 0.5

    monkeypatch.setattr(folder, "_write", write)
    place = tmp_path / "looker"
    shutil.copytree(exported, place)
    assert export_onnx(captioner, place) == 0.5
    assert [each.name for each in place.iterdir()] == ["new"]
    for taken in (captioner, place, captioner / "config.json"):
        with pytest.raises(ModelError, match="is there already and is no exported model; choose another folder"):
            export_onnx(captioner, taken)
    with pytest.raises(ModelError, match="is an exported model already"):
        export_onnx(exported, tmp_path / "again")


def test_a_folder_that_cannot_be_written_is_said_and_nothing_stays(
    captioner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ModelError, match=r"cannot be written .*; make room, or choose another folder"):
        export_onnx(captioner, file / "place")
    monkeypatch.setenv("REGARD_CACHE", str(file))
    with pytest.raises(ModelError, match=r"cannot be written .*; set REGARD_CACHE to a folder that can be written"):
        load(captioner, runtime="onnx")
    assert list(tmp_path.iterdir()) == [file]


def test_graphs_that_differ_from_the_model_are_no_export(
    captioner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="the graphs differ from the model by"):
        export_onnx(captioner, tmp_path / "place")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_its_cure(
    package: str, captioner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setenv("REGARD_CACHE", str(tmp_path))
    cure = re.escape('pip install "regard[onnx]"')
    with pytest.raises(DependencyError, match=f"'{package}', which is not installed; install it with: {cure}"):
        load(captioner, runtime="onnx")
    assert not list((tmp_path / "onnx").glob("*-*"))


def test_a_runtime_that_cannot_be_used_is_refused(
    exported: Path, captioner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="there is no runtime 'onx'; allowed: torch, onnx; did you mean 'onnx'"):
        load(captioner, runtime="onx")
    with pytest.raises(ModelError, match="is an exported model, which torch does not run"):
        load(exported, runtime="torch")
    for model, runtime in ((captioner, "onnx"), (exported, None)):
        with pytest.raises(
            ConfigError, match="the runtime onnx with precision 'int8'; allowed: float32, or the runtime"
        ):
            load(model, runtime=runtime, precision="int8")
    monkeypatch.setattr("regard.pipeline.loading.resolve_device", torch.device)
    with pytest.raises(ConfigError, match="the runtime onnx with device 'cuda'; allowed: cpu"):
        load(exported, device="cuda")


@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize("damage", ["empty", "cut", "swapped", "missing"])
def test_a_damaged_export_is_refused_in_one_line(damage: str, manifest: bool, exported: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    shutil.copytree(exported, place)
    if not manifest:
        (place / "manifest.json").unlink()
    encoder = place / "encoder.onnx"
    match damage:
        case "empty":
            encoder.write_bytes(b"")
        case "cut":
            encoder.write_bytes(encoder.read_bytes()[:-200])
        case "swapped":
            encoder.write_bytes((place / "decoder.onnx").read_bytes())
        case _:
            encoder.unlink()
    with pytest.raises(ModelError) as caught:
        load_onnx(place)
    assert "\n" not in str(caught.value)
    assert str(place) in str(caught.value)
    assert str(caught.value).endswith("not a complete model" if damage == "missing" else "export the model again")


def test_the_default_place_is_named_after_the_model() -> None:
    assert default_place(Path("models/flickr8k")) == Path("flickr8k-onnx")
    assert default_place(Path("runs/mine/best")) == Path("mine-onnx")
