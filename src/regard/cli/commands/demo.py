"""``regard demo``: what regard does, shown on sample photos that come with other packages, and on your own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regard.cli.commands.caption import CAPTION_LANGUAGE, CaptionModel, in_place, show_captions
from regard.cli.languages import translators
from regard.cli.options import AsJson
from regard.cli.photos import find_photos
from regard.cli.report import echo, echo_json
from regard.cli.saving import Saver
from regard.errors import DependencyError
from regard.saved import DEFAULT_CAPTIONER

if TYPE_CHECKING:
    from regard.pipeline import Captioner
    from regard.result_views import Result

SAMPLES = {
    "skimage": ("data", ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")),
    "sklearn": ("datasets/images", ("china.jpg", "flower.jpg")),
}
"""Every photo in colour of people, animals, things or places that is inside these packages: by the package's module,
the folder in it and the files. No captioner that ships learned from them, and none was chosen by them."""
DISTRIBUTIONS = {"skimage": "scikit-image", "sklearn": "scikit-learn"}
"""What the packages are called where they are installed from."""
SENTENCES = (
    "A dog runs on the beach.",
    "Two women in red coats are talking in front of a small house.",
    "A boy throws a ball to his friend, who is standing in the water.",
)
TARGET = "de"

Own = Annotated[list[str] | None, typer.Argument(metavar="PATH", help="Your own photos, shown before the samples.")]
Page = Annotated[Path, typer.Option("--save", metavar="PATH", help="Where the page with the heat maps goes.")]


def demo(
    photos: Own = None,
    model: CaptionModel = DEFAULT_CAPTIONER,
    save: Page = Path("out/demo.html"),
    as_json: AsJson = False,
) -> None:
    """Caption sample photos, and your own if you name some; translate sentences; save a page that shows every look.

    The translations are left out where no translator ships.
    """
    from regard.pipeline import load_captioner

    samples = sample_photos()
    found = list(find_photos([*(photos or []), *samples]))
    saver = Saver(save, count=len(found))
    captioner = load_captioner(model)
    results = captioner.caption_many([each for each in found if isinstance(each, str)])
    all_read = show_captions(in_place(found, results), count=len(found), saver=saver, as_json=as_json)
    translator = translators().get((CAPTION_LANGUAGE, TARGET))
    if translator is not None:
        _show_translations(translator, captioner, samples[0], saver, as_json=as_json)
    saver.finish()
    if not all_read:
        raise typer.Exit(1)


def _show_translations(name: str, captioner: Captioner, photo: str, saver: Saver, *, as_json: bool) -> None:
    """A few sentences, and one photo captioned into another language."""
    from regard.pipeline import load_translator, translate_caption

    translator = load_translator(name)
    shown: list[tuple[str, str, Result]] = []
    for number, sentence in enumerate(SENTENCES, start=1):
        translation = translator.translate(sentence)
        shown.append((f"sentence-{number}", f"{sentence} = {translation.text}", translation))
    caption = translate_caption(captioner.caption(photo), translator)
    shown.append((f"{Path(photo).stem}-{TARGET}", f"{photo}: {caption.caption.text} = {caption.text}", caption))
    for file_name, line, result in shown:
        saver.add(result, file_name)
        if as_json:
            echo_json(result.to_dict())
        else:
            echo(line)


def sample_photos() -> list[str]:
    """The files of :data:`SAMPLES`.

    Raises:
        DependencyError: one of the packages is not installed.
    """
    photos = []
    for module, (folder, names) in SAMPLES.items():
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise DependencyError(DISTRIBUTIONS[module], extra="demo", purpose="the demo")
        photos += [str(Path(spec.origin).parent / folder / name) for name in names]
    return photos
