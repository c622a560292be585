"""The photos that the words of a command line mean: files, folders and patterns."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from regard.data.image_index import IMAGE_SUFFIXES
from regard.errors import ImageError

Photos = Annotated[
    list[str],
    typer.Argument(metavar="PATH", help="Photos, folders of photos, or quoted patterns such as 'holiday/*.jpg'."),
]


def find_photos(words: Iterable[str]) -> Iterator[str | ImageError]:
    """The path of each photo once, in the order of ``words``; a folder's and a pattern's in alphabetical order.

    A folder means every file in it and in its folders: a file there that is no picture is not passed over in silence,
    but for hidden ones and for what phones, cameras and systems put beside photos. A word that leads to no file gives
    the error that says so, in its place.
    """
    seen: set[str] = set()
    for word in words:
        try:
            paths = list(_files(word))
        except OSError as error:  # such as a name longer than the system allows
            yield ImageError(word, f"cannot be read ({error.strerror})")
            continue
        yield from (path for path in dict.fromkeys(paths) if path not in seen)
        seen.update(paths)
        if not paths:
            yield ImageError(word, _why_nothing(word))


def _files(word: str) -> Iterator[str]:
    if Path(word).is_dir():
        yield from _files_below(Path(word))
    elif Path(word).exists():
        yield word
    elif glob.has_magic(word):
        for path in sorted(glob.glob(word, recursive=True)):  # noqa: PTH207 - pathlib's takes no absolute patterns
            yield from _files(path)


def _files_below(folder: Path) -> Iterator[str]:
    paths = [path for path in sorted(folder.rglob("*")) if not _is_hidden(path, folder) and not path.is_dir()]
    photos = {path.with_suffix("") for path in paths if path.suffix.lower() in IMAGE_SUFFIXES}
    for path in paths:
        suffix = path.suffix.lower()
        if suffix not in _COMPANIONS and not (suffix in _TEXTS and path.with_suffix("") in photos):
            yield str(path)


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


_COMPANIONS = frozenset(
    f".{suffix}"
    for kinds in ("aae xmp thm lrv dop pp3 ini db", "mov mp4 m4v avi 3gp mkv webm mts", "wav mp3 m4a aac")
    for suffix in kinds.split()
)
"""Endings of what lies beside photos: how they were edited, films, sounds, and thumbnails of folders."""
_TEXTS = frozenset([".txt", ".caption", ".json"])
"""Endings of a photo's caption, which has the name of the photo."""


def _why_nothing(word: str) -> str:
    if Path(word).is_dir():
        return "holds no file"
    return "matches no file" if glob.has_magic(word) else "no such file"
