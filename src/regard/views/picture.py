"""A result as a picture: a contact sheet of heat maps for a photo, an alignment matrix for a sentence."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NoReturn

from PIL import Image

from regard.result_views import Result, View
from regard.results import Caption, TranslatedCaption, Translation
from regard.views.alignment_matrix import alignment_matrix
from regard.views.contact_sheet import contact_sheet, translated_contact_sheet


class Picture(View):
    """PNG files, each of one result."""

    holds_several = False

    def render(self, result: Result) -> bytes:
        buffer = io.BytesIO()
        draw(result).save(buffer, format="PNG")
        return buffer.getvalue()

    def render_together(self, results: Sequence[Result], *, title: str = "") -> NoReturn:
        raise AssertionError("a PNG file holds one result")


PICTURE = Picture()


def draw(result: Result) -> Image.Image:
    """The result as one picture, RGB."""
    match result:
        case Caption():
            return contact_sheet(result)
        case TranslatedCaption():
            return translated_contact_sheet(result)
        case Translation():
            return alignment_matrix(result)
    raise AssertionError(f"a {type(result).__name__} has no picture")
