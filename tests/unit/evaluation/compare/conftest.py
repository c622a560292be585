"""The smallest comparison: twelve coloured squares, a network of random numbers, one epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

MakeRecipe = Callable[..., Path]

COLOURS = {"red": (200, 20, 30), "green": (30, 180, 40), "blue": (20, 40, 210), "white": (240, 240, 240)}


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training and four validation images in the layout of Flickr8k, two captions each."""
    folder = tmp_path_factory.mktemp("squares")
    (folder / "Flicker8k_Dataset").mkdir()
    lines = []
    for split, copies in (("train", 2), ("dev", 1)):
        names = [f"{split}-{colour}-{copy}.png" for colour in COLOURS for copy in range(copies)]
        (folder / f"Flickr_8k.{split}Images.txt").write_text("\n".join(names) + "\n")
        for name in names:
            colour = name.split("-")[1]
            Image.new("RGB", (40, 36), COLOURS[colour]).save(folder / "Flicker8k_Dataset" / name)
            lines += [f"{name}#0\ta {colour} square", f"{name}#1\tthe square is {colour}"]
    (folder / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    return folder


def recipe_values(name: str, folder: Path, decoder: dict[str, Any], **model: Any) -> dict[str, Any]:
    encoder = {"name": "efficientnet_lite0", "weights": None, "layer": "stage3", "size": 32}
    return {
        "name": name,
        "data": {"format": "flickr8k", "folder": str(folder), "mirrored": False, "minimum_count": 1},
        "model": {"encoder": encoder, "bridge": {"dim": 8}, "decoder": decoder, **model},
        "phases": [{"objective": "cross_entropy", "epochs": 1, "batch": 4}],
        "search": {"beam": 2, "max_length": 5},
    }


@pytest.fixture
def make_recipe(squares: Path, tmp_path: Path) -> MakeRecipe:
    """Writes the recipe of a tiny captioner and returns its path; keywords change its top-level settings."""

    def make(name: str, decoder: dict[str, Any], **changes: Any) -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**recipe_values(name, squares, decoder), **changes}))
        return path

    return make


REPEAT = {"name": "repeat", "hidden": 6}
FEEDBACK = {"name": "feedback", "hidden": 6, "embedding": 6}


@pytest.fixture
def three(make_recipe: MakeRecipe) -> list[Path]:
    """``repeat``, ``feedback``, and ``feedback`` through a bottleneck of two numbers."""
    return [
        make_recipe("repeat", REPEAT),
        make_recipe("feedback", FEEDBACK),
        make_recipe("feedback-2", {**FEEDBACK, "image_vector": 2}),
    ]
