"""``--save``: one file for all results, or a folder with files for each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from regard.cli.report import say_note
from regard.errors import ConfigError

if TYPE_CHECKING:
    from regard.results import Result

SUFFIXES = (".html", ".png", ".json")


class Saver:
    """Writes results where the user wants them.

    A path without a suffix, or of an existing folder, is a folder: each result gets a page, a picture and its data
    there at once, so that memory does not grow with their number. Any other path is one file for all of them, written
    in :meth:`finish`; a JSON file of one result holds an object, one of several a list.

    Args:
        path: where to.
        count: how many results are to come, at most.

    Raises:
        ConfigError: no result can be saved under this suffix, or not so many.
    """

    def __init__(self, path: Path, *, count: int) -> None:
        from regard.views.formats import check_suffix

        self._path = path
        self._is_folder = path.is_dir() or not path.suffix
        self._results: list[Result] = []
        self._names: set[str] = set()
        if not self._is_folder and check_suffix(path, SUFFIXES) == ".png" and count > 1:
            raise ConfigError(f"--save {path}: a PNG holds one result", allowed="a folder, .html or .json")

    def add(self, result: Result, name: str) -> None:
        """Take a result; ``name`` is what its files in a folder are called, without suffix.

        Raises:
            DataError: a file cannot be written.
        """
        if not self._is_folder:
            self._results.append(result)
            return
        name = self._unused(name)
        for suffix in SUFFIXES:
            result.save(self._path / f"{name}{suffix}")

    def finish(self) -> None:
        """Write what is still to be written, and say where everything is.

        Raises:
            DataError: the file cannot be written.
        """
        from regard.results import save_together

        if len(self._results) == 1:
            self._results[0].save(self._path)
        elif self._results:
            save_together(self._results, self._path)
        if self._results or self._names:
            say_note(f"saved in {self._path}")

    def _unused(self, name: str) -> str:
        """``name``, numbered where another result has it; systems that fold case are taken into account."""
        number, chosen = 1, name
        while chosen.casefold() in self._names:
            number += 1
            chosen = f"{name}-{number}"
        self._names.add(chosen.casefold())
        return chosen
