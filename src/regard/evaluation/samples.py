"""What a model in training says of a few validation inputs, and where it looks, as a picture in the run folder."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from regard.errors import RegardError
from regard.files import write_file
from regard.pipeline.captioner import Captioner
from regard.pipeline.translator import Translator
from regard.result_views import Result
from regard.saved.bundle import Bundle

WIDTH = 640
"""Of a picture, in pixels."""


def draw_samples(bundle: Bundle, inputs: Sequence[str], path: Path) -> None:
    """Draw captions with their heat maps, or translations with their alignments, one below the other.

    Args:
        bundle: the model as it stands.
        inputs: paths of photos, or sentences; those that cannot be read are left out.
        path: the PNG file.

    Raises:
        DataError: the file cannot be written.
    """
    device = str(bundle.model.device)
    results: Iterable[Result | RegardError]
    if bundle.kind == "captioner":
        results = Captioner(bundle, device=device).caption_many(inputs, alternatives=0)
    else:
        results = Translator(bundle, device=device).translate_many(inputs, alternatives=0)
    pictures = [_shrunk(result.to_image()) for result in results if isinstance(result, Result)]
    if not pictures:
        return
    sheet = Image.new("RGB", (max(each.width for each in pictures), sum(each.height for each in pictures)), "white")
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    file = io.BytesIO()
    sheet.save(file, "PNG")
    write_file(path, file.getvalue())


def _shrunk(picture: Image.Image) -> Image.Image:
    """The picture, no wider than :data:`WIDTH`."""
    picture.thumbnail((WIDTH, picture.height))
    return picture
