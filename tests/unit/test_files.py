"""A file or a folder is whole or absent, whatever happens while it is written; a lock keeps others out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from regard.errors import ModelError
from regard.files import cache_folder, lock, new_folder, read_json_file, replacing, resolve_folder, write_json_file


def write(folder: Path, text: str) -> None:
    with new_folder(folder) as temporary:
        (temporary / "inner").mkdir()
        (temporary / "inner" / "file").write_text(text)


def read(folder: Path) -> str:
    return (resolve_folder(folder) / "inner" / "file").read_text()


def test_a_folder_takes_the_place_of_the_former(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    for text in ("first", "second"):
        write(folder, text)
        assert read(folder) == text
    assert list(folder.parent.iterdir()) == [folder]


def fail(folder: Path, error: Exception) -> None:
    with new_folder(folder) as temporary:
        (temporary / "half").write_text("")
        raise error


@pytest.mark.parametrize(("error", "shown"), [(OSError(28, "No space left"), ModelError), (KeyError("x"), KeyError)])
def test_what_fails_leaves_the_former(tmp_path: Path, error: Exception, shown: type[Exception]) -> None:
    folder = tmp_path / "folder"
    with pytest.raises(shown):
        fail(folder, error)
    assert list(tmp_path.iterdir()) == []
    write(folder, "former")
    with pytest.raises(shown):
        fail(folder, error)
    assert read(folder) == "former"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_kill_between_the_two_moves_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write(folder, "former")
    folder.rename(tmp_path / ".folder.old")
    assert read(folder) == "former"
    write(folder, "new")
    assert read(folder) == "new"
    assert list(tmp_path.iterdir()) == [folder]


def test_where_a_folder_cannot_be_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"new: cannot be written \(.*\); make room, or choose another folder"):
        write(tmp_path / "file" / "new", "")


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REGARD_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("REGARD_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "regard"


@pytest.mark.parametrize("alone", [False, True])
def test_a_file_that_fails_leaves_the_former_and_no_other(tmp_path: Path, alone: bool) -> None:
    path = tmp_path / "file"
    for text in ("first", "second"):
        with replacing(path, alone=alone) as temporary:
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "first"
    with pytest.raises(ZeroDivisionError), replacing(path, alone=alone) as temporary:
        temporary.write_bytes(bytes(1 // 0))
    assert path.read_text() == "second"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as one, replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"


def test_json_is_the_same_bytes_for_the_same_values_and_is_read_back(tmp_path: Path) -> None:
    values = {"version": 1, "name": "käse"}
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    for path in paths:
        write_json_file(path, values)
        assert read_json_file(path, versions=[1]) == values
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such lock")
def test_a_lock_keeps_others_out_until_its_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("a") as mine, path.open("a") as other:
        assert lock(mine)
        assert not lock(other)
    with path.open("a") as next_one:
        assert lock(next_one, wait=True)
