"""What is written in another layout is read back to the same captions and splits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from regard.cli import main
from regard.data.check import check
from regard.data.convert import CAPTION_LAYOUTS, PAIR_LAYOUTS, convert
from regard.data.readers import read_collection
from regard.errors import ConfigError, DataError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    lines = ["image;caption"]
    for number in range(12):
        name = f"{'ab'[number % 2]}/photo {number // 2}.{'PNG' if number % 3 else 'jpg'}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (20, 20), (20 * number, 0, 0))
        image.save(folder / name, "PNG" if number % 3 else "JPEG")
        lines += [f'{name};"A ""{number}"", a; b"', f"{name};\u8349\u5730 {number}"]
    (folder / "captions.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def captions(path: Path) -> dict[str, list[tuple[bytes, tuple[str, ...]]]]:
    """The content and the captions of each image, by split."""
    collection = read_collection(path)
    return {
        split: [(image.path.read_bytes(), image.captions) for image in (collection.images[split, n] for n in names)]
        for split, names in collection.splits.items()
    }


@pytest.mark.parametrize("layout", CAPTION_LAYOUTS)
def test_captions_come_back(photos: Path, tmp_path: Path, layout: str) -> None:
    conversion = convert(photos, layout, tmp_path / "new")
    assert captions(tmp_path / "new") == captions(photos)
    assert check(tmp_path / "new").problems == ()
    assert sum(conversion.counts.values()) == 12
    assert check(tmp_path / "new").drawn == (), "splits that were drawn are written down"


@pytest.mark.parametrize("layout", PAIR_LAYOUTS)
def test_pairs_come_back(tmp_path: Path, layout: str) -> None:
    texts = {"train": [("A dog, here", "\uac1c"), ('"No"', "\uc544\ub2c8")], "val": [("Yes", "\uc608")]}
    (tmp_path / "pairs").mkdir()
    for split, pairs in texts.items():
        for side, language in enumerate(("en", "ko")):
            (tmp_path / "pairs" / f"{split}.{language}").write_text("".join(f"{pair[side]}\n" for pair in pairs))
    conversion = convert(tmp_path / "pairs", layout, tmp_path / "new")
    assert dict(conversion.counts) == {"train": 2, "val": 1}
    again = convert(tmp_path / "new", "csv", tmp_path / "again")
    assert again.counts == conversion.counts
    if layout == "csv":
        for name in ("train.csv", "val.csv"):
            assert (tmp_path / "new" / name).read_text() == (tmp_path / "again" / name).read_text()


def test_what_cannot_be_used_is_left_out_and_told(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    next(photos.rglob("photo 3*")).write_bytes(b"")
    command = ["data", "convert", str(photos), "--to", "coco", "--output", str(tmp_path / "new")]
    assert main([*command, "--json"]) == 1
    out, err = capsys.readouterr()
    assert sum(json.loads(out)["counts"].values()) == 11
    assert err.startswith("error: left out: ")
    assert main(command) == 1
    assert "is there already" in capsys.readouterr().err


def test_layouts_that_do_not_exist(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="layout 'xlsx'"):
        convert(photos, "xlsx", tmp_path / "new")
    with pytest.raises(DataError, match="known layout"):
        convert(photos / "a", "csv", tmp_path / "new")
