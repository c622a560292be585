"""The checksums of a saved model: one file, ``manifest.json``, that names all others with their SHA-256.

It is written last and compared when the model is loaded, so that a flipped bit, a file of another model or an edit by
hand is noticed before anything is built. Models without it load as well. ``REGARD_VERIFY=0`` in the environment leaves
the comparison out, for files that were changed on purpose.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from regard.errors import ModelError
from regard.files import MAX_BYTES, check_regular, read_json_file, write_json_file

MANIFEST = "manifest.json"
VARIABLE = "REGARD_VERIFY"
VERSION = 1


def write_manifest(folder: Path, paths: Iterable[Path] | None = None) -> None:
    """Write the checksums of files below ``folder`` into it; None for all that there are."""
    if paths is None:
        paths = [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]
    sums = {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(paths)}
    write_json_file(folder / MANIFEST, {"version": VERSION, "sha256": sums})


def check_manifest(folder: Path) -> None:
    """Compare the files of a saved model with their checksums, where it has any.

    Raises:
        ModelError: a file is missing or is not the one that was saved, or the manifest is damaged.
    """
    path = folder / MANIFEST
    if os.environ.get(VARIABLE) == "0" or not os.path.lexists(path):
        return
    sums = read_json_file(path, versions=[VERSION]).get("sha256")
    if not isinstance(sums, dict):
        raise ModelError(f"{path}: holds no checksums under 'sha256'")
    for name, expected in sums.items():
        file = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ModelError(f"{path}: names {name!r:.80}, which lies outside of the folder")
        check_regular(file, most=MAX_BYTES)
        if sha256(file) != expected:
            again = "export the model again" if file.suffix == ".onnx" else "fetch or train the model again"
            raise ModelError(
                f"{file}: is not the file that was saved (its SHA-256 differs from that in {MANIFEST})",
                remedy=f"if you changed the file yourself, set {VARIABLE}=0; otherwise {again}",
            )


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
