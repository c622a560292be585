"""From a saved model to results: :func:`load` gives a captioner or a translator."""

from __future__ import annotations

from regard.pipeline.captioner import Captioner
from regard.pipeline.loading import RUNTIMES, load, load_captioner, load_translator
from regard.pipeline.options import SearchChanges, search_changes
from regard.pipeline.pivot import translate_caption
from regard.pipeline.translator import Translator

__all__ = [
    "RUNTIMES",
    "Captioner",
    "SearchChanges",
    "Translator",
    "load",
    "load_captioner",
    "load_translator",
    "search_changes",
    "translate_caption",
]
