"""Files, folders and patterns lead to each photo once, and what leads nowhere is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from regard.cli.photos import find_photos
from regard.errors import ImageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.png", ".hidden.jpg", "deep/c.jpg", ".git/d.jpg", "notes.txt", "[x].jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def found(folder: Path, *words: str) -> list[str]:
    """What the words lead to, relative to the folder; errors as their reasons."""
    results = find_photos([str(folder / word) for word in words])
    return [each.reason if isinstance(each, ImageError) else str(Path(each).relative_to(folder)) for each in results]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["b.jpg", "a.png"], ["b.jpg", "a.png"]),
        (["."], ["[x].jpg", "a.png", "b.jpg", "deep/c.jpg", "notes.txt"]),
        (["*.jpg"], ["[x].jpg", "b.jpg"]),
        (["**/*.jpg"], ["[x].jpg", "b.jpg", "deep/c.jpg"]),
        (["d*p"], ["deep/c.jpg"]),
        (["[x].jpg"], ["[x].jpg"]),
        (["b.jpg", "deep", "**", "b.jpg"], ["b.jpg", "deep/c.jpg", "[x].jpg", "a.png", "notes.txt"]),
        (["gone.jpg", "b.jpg"], ["no such file", "b.jpg"]),
        (["*.tiff"], ["matches no file"]),
        (["empty"], ["holds no file"]),
    ],
)
def test_words_lead_to_photos(folder: Path, words: list[str], expected: list[str]) -> None:
    assert found(folder, *words) == expected


def test_a_path_stays_as_it_was_typed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert list(find_photos(["./b.jpg", "deep//c.jpg"])) == ["./b.jpg", "deep//c.jpg"]


def test_a_name_too_long_for_the_system_is_one_error(folder: Path) -> None:
    assert found(folder, "x" * 5000) == ["cannot be read (File name too long)"]


def test_companions_of_photos_are_passed_over(tmp_path: Path) -> None:
    for name in (
        "IMG_1.JPG",
        "IMG_1.MOV",
        "IMG_1.AAE",
        "Thumbs.db",
        "desktop.ini",
        ".DS_Store",
        "._IMG_1.JPG",
        "IMG_1.txt",
    ):
        (tmp_path / name).touch()
    assert found(tmp_path, ".") == ["IMG_1.JPG"]
    assert found(tmp_path, "IMG_1.MOV") == ["IMG_1.MOV"], "what is named is looked at"


@pytest.mark.parametrize("suffix", ["PNG", "JPEG", "Jpg", "WEBP", "tif", "TIFF", "gif", "bmp", "avif", "heif"])
def test_captions_beside_photos_of_any_format_are_no_photos(tmp_path: Path, suffix: str) -> None:
    for name in (f"scan.{suffix}", "scan.txt", "scan.caption", "letter.txt"):
        (tmp_path / name).touch()
    assert found(tmp_path, ".") == ["letter.txt", f"scan.{suffix}"]
