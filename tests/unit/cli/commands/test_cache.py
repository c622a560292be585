"""``regard cache`` shows what runs share, and deletes what is not in use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regard.cli import main
from regard.data.unpacked import Unpacked
from regard.encoders.pretrained import DOWNLOADS
from regard.files import keep_until_exit

WEIGHTS = DOWNLOADS["resnet50"].rpartition("/")[2]
FEATURES, EXPORT = "features/0123456789abcdef", "onnx/m-0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with features, an exported model and a file that was fetched."""
    for name, size in (
        (f"{FEATURES}/features.bin", 3_000_000),
        (f"{EXPORT}/decoder.onnx", 500_000),
        (WEIGHTS, 9),
    ):
        path = tmp_path / "cache" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    monkeypatch.setenv("REGARD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_entries_are_shown_the_largest_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:-1]] == [
        [FEATURES, "3.0", "MB"],
        [EXPORT, "0.5", "MB"],
        [WEIGHTS, "0.0", "MB"],
    ]
    assert lines[-1].startswith(f"{folder}: 3.5 MB")
    assert main(["cache", "--json"]) == 0
    assert [each["num_bytes"] for each in json.loads(capsys.readouterr().out)] == [3_000_000, 500_000, 9]


def test_one_entry_a_folder_or_all_are_deleted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "clear", EXPORT]) == 0
    assert f"deleted: {EXPORT} (0.5 MB)" in capsys.readouterr().out
    assert main(["cache", "clear", "featurs"]) == 1
    assert "the cache has no entry 'featurs'" in capsys.readouterr().err
    assert main(["cache", "clear", "features"]) == 0
    assert sorted(each.name for each in folder.rglob("*") if each.is_file()) == ["lock", "lock", WEIGHTS]
    assert main(["cache", "clear"]) == 0
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{folder}: 0.0 MB"


def test_what_others_keep_there_is_no_part_of_the_cache(folder: Path, tmp_path: Path) -> None:
    (folder / "thesis").mkdir()
    kept = [folder / "thesis" / "text.txt", folder / "photo.jpg", folder / "own.pth", folder / "net-0123abcd.pth"]
    kept += [folder / "features" / "notes" / "text.txt", folder / "onnx" / "model" / "decoder.onnx"]
    kept += [tmp_path / "elsewhere" / "0123456789abcdef" / "a"]
    (folder / "unpacked").symlink_to(tmp_path / "elsewhere")
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine", encoding="utf-8")
    (folder / "features" / "fedcba9876543210").symlink_to(kept[-1].parent)
    assert main(["cache", "clear"]) == 0
    assert all(path.read_text(encoding="utf-8") == "mine" for path in kept)
    assert [*kept[-1].parent.iterdir()] == [kept[-1]]
    assert not (folder / FEATURES).exists()


def test_what_another_process_uses_is_kept(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos.tar").touch()
    with Unpacked(tmp_path / "photos.tar").filled() as unpacked:
        unpacked.add(0, "a.jpg", b"a photo")
    keep_until_exit(folder / "features")
    for kind in ("unpacked", "features"):
        assert main(["cache", "clear", kind]) == 1
        assert f"another process is using {kind}; wait until it ends" in capsys.readouterr().err
    assert unpacked.folder.is_dir()
    assert (folder / FEATURES / "features.bin").exists()
