"""A wheel holds all that it takes: built, installed alone outside of the tree, and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("hatchling", reason="the build backend is not installed")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a fresh environment that has regard from the wheel, and of the packages here nothing but what they are.

    The line of a .pth file adds the folder of these packages to the path, without following the .pth files in it, one
    of which would lead to the tree.
    """
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    python = folder / "bin" / "python"
    site = Path(run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    target = ("--no-deps", "--no-index", "--disable-pip-version-check", "--target", str(site))
    run(sys.executable, "-m", "pip", "install", "--quiet", *target, str(wheel))
    return python


def run(*command: str, cwd: Path | None = None) -> str:
    """Standard output of a command that must not fail, in an environment that knows nothing of the tree."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_wheel_holds_the_models_their_licences_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for part in (
        "LICENSE",
        "NOTICE",
        "flickr8k/weights.safetensors",
        "flickr8k/manifest.json",
        "cells.cpp",
        "py.typed",
    ):
        assert any(name.endswith(part) for name in names), part
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"regard"}


def test_a_wheel_says_under_which_licences_it_is_and_holds_them(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(path))
        held = {name.split("/licenses/")[1] for name in archive.namelist() if "/licenses/" in name}
        notice = archive.read(path.replace("METADATA", "licenses/NOTICE")).decode()
        parts = [Path(name) for name in archive.namelist() if name.endswith((".ttf", ".safetensors", ".txt"))]
    assert metadata["License-Expression"] == "Apache-2.0 AND OFL-1.1"
    assert {"LICENSE", "NOTICE"} < held == set(metadata.get_all("License-File"))
    assert "Encoder weights" in notice
    foreign = {part.name for part in parts if part.suffix == ".ttf" or "labels" in part.name}
    assert foreign
    assert all(name in notice for name in foreign)


def test_an_installed_wheel_is_used_outside_of_the_tree(python: Path, tmp_path: Path) -> None:
    where = run(str(python), "-c", "import regard; print(regard.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(python.parents[1])
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "photo.png")
    regard = (str(python), "-m", "regard")
    assert run(*regard, "models", cwd=tmp_path).count("\n") >= 3
    caption = json.loads(run(*regard, "caption", "photo.png", "--json", cwd=tmp_path))
    assert caption["text"]
    run(*regard, "translate", "A dog runs.", "--to", "de", "--save", "page.html", cwd=tmp_path)
    assert (tmp_path / "page.html").stat().st_size > 1000
