"""A folder is whole or absent, whatever happens while it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from regard.errors import ModelError
from regard.files import cache_folder, new_folder, standing


def write(folder: Path, text: str) -> None:
    with new_folder(folder) as temporary:
        (temporary / "inner").mkdir()
        (temporary / "inner" / "file").write_text(text)


def read(folder: Path) -> str:
    return (standing(folder) / "inner" / "file").read_text()


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
