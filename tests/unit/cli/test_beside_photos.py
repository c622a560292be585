"""Captions beside photos and in copies of them; nothing is written over unless it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from regard.cli.beside_photos import BesidePhotos
from regard.errors import ConfigError


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    """A photo, and another one in a folder below."""
    paths = [tmp_path / "photos" / "a.jpg", tmp_path / "photos" / "trip" / "b.png"]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "green").save(path)
    return [str(path) for path in paths]


def test_sidecars_and_copies_lie_where_the_photos_do(photos: list[str], tmp_path: Path) -> None:
    originals = [Path(photo).read_bytes() for photo in photos]
    beside = BesidePhotos(photos, sidecar=True, metadata=tmp_path / "copies")
    assert [beside.write(photo, "a green square") for photo in photos] == [None, None]
    assert [beside.write(photo, "a green square") for photo in photos] == [None, None]
    assert [Path(photo).with_suffix(".txt").read_text() for photo in photos] == ["a green square\n"] * 2
    assert [Path(photo).read_bytes() for photo in photos] == originals
    for copy in (tmp_path / "copies" / "a.jpg", tmp_path / "copies" / "trip" / "b.png"):
        with Image.open(copy) as image:
            assert image.getexif()[0x010E] == "a green square"


def test_a_file_that_says_something_else_is_left_alone(photos: list[str], tmp_path: Path) -> None:
    note = Path(photos[0]).with_suffix(".txt")
    note.write_text("bread, milk")
    error = BesidePhotos(photos, sidecar=True).write(photos[0], "a green square")
    assert str(error) == f"{photos[0]}: {note} is there and says something else; --overwrite writes over it"
    assert note.read_text() == "bread, milk"
    assert BesidePhotos(photos, sidecar=True, overwrite=True).write(photos[0], "a green square") is None
    assert note.read_text() == "a green square\n"


def test_no_photo_is_written_over_by_its_copy(photos: list[str], tmp_path: Path) -> None:
    before = Path(photos[0]).read_bytes()
    error = BesidePhotos(photos, metadata=tmp_path / "photos", overwrite=True).write(photos[0], "a green square")
    assert "would be written over by its own copy" in str(error)
    assert Path(photos[0]).read_bytes() == before
    with pytest.raises(ConfigError, match="is no folder"):
        BesidePhotos(photos, metadata=Path(photos[0]))


def test_copies_stay_in_their_folder_however_photos_are_named(
    photos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(photos[1]).parent)
    named = ["b.png", "../a.jpg"]
    beside = BesidePhotos(named, metadata=tmp_path / "out" / "copies")
    assert [beside.write(photo, "a green square") for photo in named] == [None, None]
    written = [path.relative_to(tmp_path).as_posix() for path in (tmp_path / "out").rglob("*.*")]
    assert sorted(written) == ["out/copies/a.jpg", "out/copies/trip/b.png"]


def test_two_photos_of_one_name_have_no_sidecar_in_common(photos: list[str], tmp_path: Path) -> None:
    twin = str(Path(photos[0]).with_suffix(".heic"))
    with pytest.raises(ConfigError, match=r"a\.jpg and .*a\.heic would both have their caption in a\.txt"):
        BesidePhotos([*photos, twin], sidecar=True, overwrite=True)
    BesidePhotos([*photos, photos[0].replace("/photos/", "/photos/./")], sidecar=True)
    BesidePhotos([*photos, twin], metadata=tmp_path / "copies")
