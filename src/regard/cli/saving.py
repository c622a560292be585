"""``--save``: one file for all results, or a folder with files for each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regard.cli.report import echo_note
from regard.errors import ConfigError

if TYPE_CHECKING:
    from regard.result_views import Result

LONGEST_NAME = 200
"""Bytes of a file's name without its suffix; systems allow 255 with it."""


class Saver:
    """Writes results where the user wants them.

    A path without a suffix, or of an existing folder, is a folder: each result gets a file of every view there at
    once, so that memory does not grow with their number. Any other path is one file for all of them, written
    in :meth:`finish`. A JSON file holds an object where one result was to come, and a list where several were, with an
    object that has ``error`` in the place of each that failed.

    Args:
        path: where to.
        count: how many results are to come, at most.

    Raises:
        ConfigError: no result can be saved under this suffix, or not so many.
    """

    def __init__(self, path: Path, *, count: int) -> None:
        from regard.files import check_suffix
        from regard.result_views import VIEWS

        self._path = path
        self._is_folder = path.is_dir() or not path.suffix
        self._several = count > 1
        self._results: list[Result] = []
        self._data: list[dict[str, Any]] = []
        self._names: set[str] = set()
        self._views = VIEWS
        if not self._is_folder and not VIEWS[check_suffix(path, VIEWS)].holds_several and count > 1:
            several = " or ".join(suffix for suffix in VIEWS if VIEWS[suffix].holds_several)
            raise ConfigError(f"--save {path}: a {path.suffix} file holds one result", allowed=f"a folder, {several}")

    def add(self, result: Result, name: str) -> None:
        """Take a result; ``name`` is what its files in a folder are called, without suffix.

        Raises:
            DataError: a file cannot be written.
        """
        if not self._is_folder:
            self._results.append(result)
            self._data.append(result.to_dict())
            return
        name = self._unused(name)
        for suffix in self._views:
            result.save(self._path / f"{name}{suffix}")

    def add_failure(self, values: dict[str, Any]) -> None:
        """Take what stands in the place of a result that failed; only a JSON file of several has a place for it."""
        self._data.append(values)

    def finish(self) -> None:
        """Write what is still to be written, and say where everything is.

        Raises:
            DataError: the file cannot be written.
        """
        from regard.files import write_file
        from regard.result_views import save_together
        from regard.views.json_data import json_bytes

        if not self._is_folder and self._path.suffix.lower() == ".json" and (self._several or len(self._data) > 1):
            write_file(self._path, json_bytes(self._data))
        elif len(self._results) == 1:
            self._results[0].save(self._path)
        elif self._results:
            save_together(self._results, self._path)
        if self._results or self._names:
            echo_note(f"saved in {self._path}")

    def _unused(self, name: str) -> str:
        """``name``, numbered where another result has it; systems that fold case are taken into account."""
        name = _shortened(name)
        number, chosen = 1, name
        while chosen.casefold() in self._names:
            number += 1
            chosen = f"{name}-{number}"
        self._names.add(chosen.casefold())
        return chosen


def _shortened(name: str) -> str:
    """As much of the name as leaves room for a number and a suffix, in whole characters."""
    while len(os.fsencode(name)) > LONGEST_NAME:
        name = name[:-1]
    return name
