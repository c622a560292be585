"""How much of the package a command meets: modules that it enters, how deep its calls go, modules that it imports.

    python benchmarks/modules_entered.py

A module is entered when one of its functions is called after its import; the deepest stack counts nested calls of the
package's own functions, in any thread. Each command runs in a process of its own, on one synthetic photo, one sentence
or a training of one epoch on four photos.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any

COMMANDS = ("caption --save", "translate --save", "train")
COLUMNS = ("modules entered", "deepest stack", "modules imported")


class Watch:
    """What ``sys.setprofile`` calls when a function begins and when it ends, in any thread."""

    def __init__(self, root: Path) -> None:
        self.entered: set[str] = set()
        self.deepest = 0
        self._root = str(root)
        self._thread = threading.local()

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if event not in ("call", "return") or not name.startswith(self._root):
            return
        here = vars(self._thread)
        kind = "imports" if frame.f_code.co_name == "<module>" else "calls"
        if kind == "calls" and here.get("imports"):
            return
        here[kind] = max(0, here.get(kind, 0) + (1 if event == "call" else -1))
        if kind == "calls":
            self.entered.add(name)
            self.deepest = max(self.deepest, here[kind])


def measure(command: str, folder: Path) -> dict[str, int]:
    """Run one command in this process."""
    import regard
    from regard.cli import main

    words = arguments(command, folder)
    watch = Watch(Path(regard.__file__).parent)
    threading.setprofile(watch)
    sys.setprofile(watch)
    status = main(words)
    sys.setprofile(None)
    assert status == 0, f"regard {' '.join(words)} left with {status}"
    imported = sum(name.split(".")[0] == "regard" for name in sys.modules)
    return dict(zip(COLUMNS, (len(watch.entered), watch.deepest, imported), strict=True))


def arguments(command: str, folder: Path) -> list[str]:
    """The words after ``regard``, with the files that they name."""
    if command == "caption --save":
        return ["caption", str(photo(folder, 0)), "--save", str(folder / "page.html")]
    if command == "translate --save":
        return ["translate", "A dog runs on the beach.", "--to", "de", "--save", str(folder / "page.html")]
    return ["train", str(recipe(folder)), "--output", str(folder / "run"), "--cache", str(folder / "cache")]


def photo(folder: Path, number: int) -> Path:
    """A photo of noise."""
    import numpy as np
    from PIL import Image

    path = folder / f"{number}.jpg"
    pixels = np.random.default_rng(number).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def recipe(folder: Path) -> Path:
    """A tiny training: its data in the layout of Flickr8k, and the recipe."""
    import yaml

    images = folder / "Flicker8k_Dataset"
    images.mkdir()
    names = [photo(images, number).name for number in range(4)]
    lines = [f"{name}#{i}\ta dog runs {name[0]} ." for name in names for i in range(5)]
    (folder / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    for split in ("train", "dev"):
        (folder / f"Flickr_8k.{split}Images.txt").write_text("\n".join(names) + "\n")
    values: dict[str, Any] = {
        "name": "tiny",
        "data": {"format": "flickr8k", "folder": str(folder), "minimum_count": 1},
        "model": {
            "encoder": {"name": "efficientnet_lite0", "size": 64, "weights": None},
            "bridge": {"dim": 8},
            "decoder": {"name": "attend", "embedding": 8, "hidden": 8, "attention": 8},
        },
        "phases": [{"epochs": 1, "batch": 2}],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def main() -> None:
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(sys.argv[1], Path(folder))), file=sys.stderr)
        return
    print("| command | " + " | ".join(COLUMNS) + " |\n|---|" + "---:|" * len(COLUMNS))
    for command in COMMANDS:
        ran = subprocess.run([sys.executable, __file__, command], check=True, capture_output=True, text=True)
        values = json.loads(ran.stderr.splitlines()[-1])
        print(f"| `{command}` | " + " | ".join(str(values[column]) for column in COLUMNS) + " |")


if __name__ == "__main__":
    main()
