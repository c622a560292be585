"""``regard cache`` shows what runs share, and deletes what is not in use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regard.cli import main
from regard.files import lock


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with features, an exported model and a file that was fetched."""
    for name, size in (
        ("features/abc/features.bin", 3_000_000),
        ("onnx/m-1/decoder.onnx", 500_000),
        ("net-0123abcd.pth", 9),
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
        ["features/abc", "3.0", "MB"],
        ["onnx/m-1", "0.5", "MB"],
        ["net-0123abcd.pth", "0.0", "MB"],
    ]
    assert lines[-1].startswith(f"{folder}: 3.5 MB")
    assert main(["cache", "--json"]) == 0
    assert [each["num_bytes"] for each in json.loads(capsys.readouterr().out)] == [3_000_000, 500_000, 9]


def test_one_entry_a_folder_or_all_are_deleted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "clear", "onnx/m-1"]) == 0
    assert "deleted: onnx/m-1 (0.5 MB)" in capsys.readouterr().out
    assert main(["cache", "clear", "featurs"]) == 1
    assert "the cache has no entry 'featurs'" in capsys.readouterr().err
    assert main(["cache", "clear", "features"]) == 0
    assert sorted(each.name for each in folder.rglob("*") if each.is_file()) == ["net-0123abcd.pth"]
    assert main(["cache", "clear"]) == 0
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{folder}: 0.0 MB"


def test_what_others_keep_there_is_no_part_of_the_cache(folder: Path, tmp_path: Path) -> None:
    (folder / "thesis").mkdir()
    kept = [folder / "thesis" / "text.txt", folder / "photo.jpg", folder / "own.pth", tmp_path / "elsewhere" / "a"]
    kept[-1].parent.mkdir()
    for path in kept:
        path.write_text("mine", encoding="utf-8")
    (folder / "features" / "link").symlink_to(kept[-1].parent)
    assert main(["cache", "clear"]) == 0
    assert all(path.read_text(encoding="utf-8") == "mine" for path in kept)
    assert [*kept[-1].parent.iterdir()] == [kept[-1]]
    assert not (folder / "features" / "abc").exists()


def test_features_that_a_training_writes_are_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (folder / "features" / "abc" / "lock").open("ab") as file:
        lock(file)
        assert main(["cache", "clear"]) == 1
    assert "features/abc: a training is writing it" in capsys.readouterr().err
    assert (folder / "features" / "abc" / "features.bin").exists()
