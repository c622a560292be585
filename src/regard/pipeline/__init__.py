"""From a saved model to results: :func:`load` gives a captioner or a translator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regard.registry import lazy_names

if TYPE_CHECKING:
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

__getattr__ = lazy_names(
    __name__,
    {
        "RUNTIMES": "regard.pipeline.loading",
        "Captioner": "regard.pipeline.captioner",
        "SearchChanges": "regard.pipeline.options",
        "Translator": "regard.pipeline.translator",
        "load": "regard.pipeline.loading",
        "load_captioner": "regard.pipeline.loading",
        "load_translator": "regard.pipeline.loading",
        "search_changes": "regard.pipeline.options",
        "translate_caption": "regard.pipeline.pivot",
    },
)
