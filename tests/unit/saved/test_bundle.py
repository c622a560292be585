"""A saved model: it says the same again, it is whole or absent, and a hostile one is one line."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from regard.errors import ModelError
from regard.files import MAX_BYTES
from regard.model import EncoderDecoder, ModelSettings
from regard.pipeline import Captioner
from regard.saved import bundle as module
from regard.saved.bundle import Bundle, find_bundle, load_bundle, read_config, read_metrics, save_bundle, shipped_models


def photo() -> Image.Image:
    return Image.linear_gradient("L").convert("RGB")


@pytest.fixture
def saved(tiny_captioner: Bundle, tmp_path: Path) -> Path:
    return save_bundle(tiny_captioner, tmp_path / "saved", precision="float32")


@pytest.fixture(autouse=True)
def no_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests change files, and ask what comes of that where nobody notices; those of checksums set this anew."""
    monkeypatch.setenv("REGARD_VERIFY", "0")


def change_config(folder: Path, **changes: Any) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | changes))


def test_a_saved_model_says_the_same_again(tiny_captioner: Bundle, saved: Path) -> None:
    files = ["README.md", "config.json", "manifest.json", "metrics.json", "vocabulary.json", "weights.safetensors"]
    assert sorted(path.name for path in saved.iterdir()) == files
    again = load_bundle(saved)
    assert (again.card, again.metrics, again.kind) == ("# tiny\n", {"bleu4": 1.5, "signature": "none"}, "captioner")
    assert again.search == tiny_captioner.search
    assert not again.model.training
    ours, theirs = (Captioner(each).caption(photo()) for each in (tiny_captioner, again))
    assert len(ours.words) >= 2
    assert theirs.text == ours.text
    assert theirs.score == pytest.approx(ours.score, rel=1e-4)
    for word, other in zip(ours.words, theirs.words, strict=True):
        assert other.weights == pytest.approx(word.weights, abs=1e-4)


def test_the_encoder_is_stored_for_use(saved: Path) -> None:
    encoder = read_config(saved).model.encoder
    assert (encoder.weights, encoder.folded, encoder.train_from) == (None, True, None)
    names = load_file(saved / "weights.safetensors")
    assert not [name for name in names if "bn" in name or "running" in name or "classifier" in name or "fc" in name]
    assert not [p for p in load_bundle(saved).model.parameters() if p.requires_grad]


def test_a_model_may_be_stored_to_read_larger_photos(tiny_captioner: Bundle, tmp_path: Path) -> None:
    model = tiny_captioner.model
    encoder = model.settings.encoder.model_copy(update={"inference_size": 2 * model.settings.encoder.size})
    model.settings = model.settings.model_copy(update={"encoder": encoder})
    stored = load_bundle(save_bundle(tiny_captioner, tmp_path / "larger"))
    settings = stored.model.settings.encoder
    assert (settings.size, settings.inference_size) == (encoder.inference_size, None)
    assert stored.model.encoder.picture_size == encoder.inference_size
    assert Captioner(stored).caption(photo()).words


def test_a_matrix_with_two_names_is_stored_once(tiny_captioner: Bundle, saved: Path) -> None:
    decoder = load_bundle(saved).model.decoder
    assert "decoder.L_o.weight" not in load_file(saved / "weights.safetensors")
    assert decoder.get_parameter("L_o.weight") is decoder.get_parameter("E.weight")


def test_smaller_forms_are_smaller_and_a_stored_model_can_be_stored_again(saved: Path, tmp_path: Path) -> None:
    bundle = load_bundle(saved)
    sizes = {}
    for precision in ("float32", "float16", "int8"):
        folder = save_bundle(bundle, tmp_path / precision, precision=precision)
        assert read_config(folder).precision == precision
        caption = Captioner(load_bundle(folder)).caption(photo())
        assert caption.score == pytest.approx(Captioner(bundle).caption(photo()).score, abs=0.05)
        file = folder / "weights.safetensors"
        sizes[precision] = file.stat().st_size - struct.unpack("<Q", file.read_bytes()[:8])[0]
    assert sizes["float16"] == pytest.approx(sizes["float32"] / 2, rel=0.01)
    assert sizes["int8"] < 0.75 * sizes["float16"]


def test_loading_leaves_the_random_numbers_of_the_caller_alone(saved: Path) -> None:
    state = torch.random.get_rng_state()
    load_bundle(saved)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_saving_replaces_a_model_and_nothing_else(tiny_captioner: Bundle, saved: Path, tmp_path: Path) -> None:
    (saved / "left-over").write_text("")
    save_bundle(replace(tiny_captioner, card="# second\n"), saved)
    assert load_bundle(saved).card == "# second\n"
    assert not (saved / "left-over").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    precious = tmp_path / "holiday"
    precious.mkdir()
    with pytest.raises(ModelError, match="is there already and is no model"):
        save_bundle(tiny_captioner, precious)


def test_a_failed_save_leaves_the_former_model(
    tiny_captioner: Bundle, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(ModelError, match=r"cannot be written .*No space left"):
        save_bundle(tiny_captioner, saved)
    assert load_bundle(saved).card == "# tiny\n"
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_kill_between_the_two_moves_loses_nothing(saved: Path, tiny_captioner: Bundle) -> None:
    saved.rename(saved.with_name(".saved.old"))
    assert load_bundle(saved).card == read_card(find_bundle(saved)) == "# tiny\n"
    save_bundle(replace(tiny_captioner, card="# second\n"), saved)
    assert load_bundle(saved).card == "# second\n"


def read_card(folder: Path) -> str:
    return load_bundle(folder).card


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"decoder.E.weight": [1.0]}))


def huge_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")


def overlapping(path: Path) -> None:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    header = json.dumps({"a": entry, "b": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))


def retensored(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)

    return apply


@pytest.mark.parametrize(
    ("file", "damage", "problem"),
    [
        ("weights.safetensors", Path.unlink, "no such file"),
        ("weights.safetensors", cut, "is damaged or no safetensors file"),
        ("weights.safetensors", lambda path: path.write_bytes(b""), "is damaged or no safetensors file"),
        ("weights.safetensors", pickled, "is damaged or no safetensors file"),
        ("weights.safetensors", huge_header, "is damaged or no safetensors file"),
        ("weights.safetensors", overlapping, "is damaged or no safetensors file"),
        (
            "weights.safetensors",
            retensored(lambda t: t.pop("decoder.L_h.bias")),
            "misses 1 tensors, such as decoder.L_h",
        ),
        ("weights.safetensors", retensored(lambda t: t.update(x=torch.ones(1))), "holds unknown 1 tensors, such as x"),
        ("weights.safetensors", retensored(lambda t: t.update({"bridge.linear.bias": torch.ones(3)})), "the shape of"),
        ("weights.safetensors", retensored(lambda t: t["bridge.linear.bias"].fill_(float("nan"))), "is not finite"),
        ("config.json", Path.unlink, "no such file"),
        ("config.json", lambda path: path.write_text("{"), "cannot be read"),
        ("config.json", lambda path: path.write_text("[" * 100_000), "cannot be read"),
        ("config.json", lambda path: path.write_bytes(b"\xff\xfe{}"), "cannot be read"),
        ("config.json", lambda path: path.write_text("[]"), "holds no JSON object"),
        ("config.json", lambda path: change_config(path.parent, version=99), "has version 99; allowed: 1"),
        ("config.json", lambda path: change_config(path.parent, modle=1), "modle is unknown, did you mean 'model'"),
        ("config.json", lambda path: change_config(path.parent, kind="translator"), "do not fit together"),
        ("config.json", lambda path: change_config(path.parent, search={"beam": 0}), "search.beam"),
        ("vocabulary.json", Path.unlink, "holds no tokenizer"),
        ("vocabulary.json", lambda path: path.write_text('{"version": 1}'), "holds no tokenizer"),
        ("metrics.json", lambda path: path.write_text("?"), "cannot be read"),
    ],
)
def test_a_damaged_or_hostile_folder_is_one_line(
    saved: Path, file: str, damage: Callable[[Path], object], problem: str
) -> None:
    damage(saved / file)
    with pytest.raises(ModelError, match=problem) as error:
        load_bundle(saved)
    assert str(saved) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("part", "values", "problem"),
    [
        ("encoder", {"weights": "/etc/passwd"}, "names weights outside the folder"),
        ("encoder", {"layer": "stage99"}, "has no layer 'stage99'"),
        ("decoder", {"hidden": 9}, "the shape of"),
        ("decoder", {"hidden": 10**12}, "hidden: input should be less than or equal to 8192"),
        ("decoder", {"name": "os.system"}, "model.decoder"),
    ],
)
def test_settings_that_do_not_fit_are_one_line(saved: Path, part: str, values: dict[str, Any], problem: str) -> None:
    model = json.loads((saved / "config.json").read_text())["model"]
    model[part] |= values
    change_config(saved, model=model)
    with pytest.raises(ModelError, match=problem) as error:
        load_bundle(saved)
    assert "\n" not in str(error.value)


def test_a_vocabulary_of_another_size_is_one_line(saved: Path) -> None:
    values = json.loads((saved / "vocabulary.json").read_text())
    (saved / "vocabulary.json").write_text(json.dumps(values | {"words": values["words"][:-1]}))
    with pytest.raises(ModelError, match=r"the shape of decoder\.\S+ is"):
        load_bundle(saved)


def test_card_and_metrics_may_be_missing(saved: Path) -> None:
    (saved / "README.md").unlink()
    (saved / "metrics.json").unlink()
    assert (load_bundle(saved).card, read_metrics(saved)) == ("", {})


def test_models_are_found_by_name_and_by_path(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "models"
    shutil.copytree(saved, shipped / "flickr8k")
    shutil.copytree(saved, tmp_path / "run" / "best")
    monkeypatch.setattr(module, "SHIPPED", shipped)
    monkeypatch.chdir(tmp_path)
    assert shipped_models() == ["flickr8k"]
    assert find_bundle("flickr8k") == shipped / "flickr8k"
    assert find_bundle(saved) == saved
    assert find_bundle("run") == Path("run/best")
    # a folder of that name that holds no model does not hide the one that ships
    (tmp_path / "flickr8k").mkdir()
    assert find_bundle("flickr8k") == shipped / "flickr8k"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("flickr8", "flickr8: no such model; allowed: flickr8k, the folder .*; did you mean 'flickr8k'?"),
        ("nothing", "nothing: no such model"),
        ("", "no config.json|no such model"),
        ("saved/config.json", "is a file, not the folder of a model"),
        ("models", "models: the folder holds no config.json"),
        ("x" * 5000, "^x{200}: cannot be read .File name too long.$"),
        ("no\0name", "no such model"),
    ],
)
def test_a_model_that_is_not_there_is_one_line(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, problem: str
) -> None:
    shutil.copytree(saved, tmp_path / "models" / "flickr8k")
    monkeypatch.setattr(module, "SHIPPED", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=problem):
        find_bundle(name)


@pytest.mark.parametrize(
    "name", ["README.md", "config.json", "metrics.json", "vocabulary.json", "weights.safetensors", "manifest.json"]
)
def test_a_flipped_bit_is_noticed_wherever_it_is(saved: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGARD_VERIFY")
    load_bundle(saved)
    content = bytearray((saved / name).read_bytes())
    content[len(content) * 2 // 3] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"REGARD_VERIFY=0|manifest\.json"):
        load_bundle(saved)


def test_a_missing_file_is_noticed_and_a_model_without_checksums_loads(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REGARD_VERIFY")
    (saved / "README.md").unlink()
    with pytest.raises(ModelError, match=r"README\.md: no such file"):
        load_bundle(saved)
    (saved / "manifest.json").unlink()
    load_bundle(saved)


def test_checksums_name_no_file_outside_of_the_folder(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGARD_VERIFY")
    for name in ("/etc/passwd", "../saved/config.json"):
        (saved / "manifest.json").write_text(json.dumps({"version": 1, "sha256": {name: "0"}}))
        with pytest.raises(ModelError, match="lies outside of the folder"):
            load_bundle(saved)


@pytest.mark.parametrize("name", ["README.md", "config.json", "metrics.json", "vocabulary.json", "weights.safetensors"])
def test_pipes_devices_and_huge_files_are_refused_without_a_look_inside(saved: Path, name: str) -> None:
    path = saved / name
    for make in (os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to(path)):
        path.unlink()
        make(path)
        with pytest.raises(ModelError, match=name.replace(".", r"\.")):
            load_bundle(saved)
        path.rmdir() if path.is_dir() else None
        path.touch() if not os.path.lexists(path) else None
    path.unlink()
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # a hole, which takes no room
    with pytest.raises(ModelError, match="bytes; allowed: up to"):
        load_bundle(saved)


def test_whole_numbers_in_place_of_weights_are_refused(saved: Path) -> None:
    path = saved / "weights.safetensors"
    tensors = load_file(path)
    name = next(each for each, tensor in tensors.items() if tensor.dim() == 2)
    for kind in (torch.int64, torch.int8, torch.bool):
        save_file(tensors | {name: tensors[name].to(kind)}, path)
        with pytest.raises(ModelError, match=f"{name} holds .* numbers; allowed: real ones"):
            load_bundle(saved)


def test_a_model_larger_than_its_file_is_refused_before_it_is_built(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_on_meta_alone(settings: ModelSettings, **given: Any) -> EncoderDecoder:
        built = build_model(settings, **given)
        assert all(each.is_meta for each in built.parameters()), "nothing is built"
        return built

    build_model = module.build_model
    monkeypatch.setattr(module, "build_model", build_on_meta_alone)
    model = json.loads((saved / "config.json").read_text())["model"]
    model["decoder"] |= {"hidden": 8192}
    change_config(saved, model=model)
    with pytest.raises(ModelError, match="the shape of"):
        load_bundle(saved)


VALID = [("encoder", {}), ("languages", None), ("search", {}), ("bridge", None), ("bridge", {})]


@pytest.mark.parametrize("value", [None, True, 3, "x", [], [3], {}, {"name": 5}, {"name": ["x"]}])
def test_a_value_of_another_kind_is_one_error(saved: Path, value: Any) -> None:
    whole = (saved / "config.json").read_text()
    for key in ("model", "search", "encoder", "decoder", "bridge", "languages", "kind", "version"):
        values = json.loads(whole)
        (values["model"] if key in values["model"] else values)[key] = value
        (saved / "config.json").write_text(json.dumps(values))
        if (key, value) not in VALID:
            with pytest.raises(ModelError):
                read_config(saved)


def test_a_calibration_of_another_model_is_refused(saved: Path) -> None:
    rule = {"features": [], "means": [], "scales": [], "weights": [], "intercept": 0.0}
    values = {"version": 1, "word": rule, "caption": rule, "centre": [0.0], "spread": [1.0]}
    (saved / "calibration.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ModelError, match=r"calibration.json: is of another model \(its centre has 1 numbers"):
        load_bundle(saved)
