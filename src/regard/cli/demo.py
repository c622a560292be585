"""``regard demo``: what regard does, shown on the sample photos of scikit-image and on your own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from regard.cli.caption import CaptionModel, in_place, show_captions
from regard.cli.options import AsJson
from regard.cli.photos import find_photos
from regard.cli.saving import Saver
from regard.errors import DependencyError

SAMPLES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")

Own = Annotated[list[str] | None, typer.Argument(metavar="PATH", help="Your own photos, shown before the samples.")]
Page = Annotated[Path, typer.Option("--save", metavar="PATH", help="Where the page with the heat maps goes.")]


def demo(
    photos: Own = None, model: CaptionModel = "flickr8k", save: Page = Path("out/demo.html"), as_json: AsJson = False
) -> None:
    """Caption sample photos, and your own if you name some, and save a page that shows where each word looked."""
    from regard.pipeline import load_captioner

    found = list(find_photos([*(photos or []), *sample_photos()]))
    saver = Saver(save, count=len(found))
    results = load_captioner(model).caption_many([each for each in found if isinstance(each, str)])
    if not show_captions(in_place(found, results), count=len(found), saver=saver, as_json=as_json):
        raise typer.Exit(1)


def sample_photos() -> list[str]:
    """Photos that come with scikit-image.

    Raises:
        DependencyError: it is not installed.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DependencyError("scikit-image", extra="demo", purpose="the demo")
    folder = Path(spec.origin).parent / "data"
    return [str(folder / name) for name in SAMPLES]
