"""regard: describes a picture, translates a sentence, and shows for every word where it looked.

Importing the package does no work: every public name below is imported from its module when it is first used, so that
``import regard`` does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regard.annotations import Annotations
    from regard.errors import (
        ConfigError,
        DataError,
        DependencyError,
        DivergedError,
        ImageError,
        Interrupted,
        ModelError,
        OutOfMemory,
        RegardError,
        TextError,
        WeightsError,
        WorkerError,
    )
    from regard.model import EncoderDecoder
    from regard.pipeline import Captioner, Translator, load
    from regard.results import Caption, TranslatedCaption, Translation
    from regard.search import SearchOptions

    __version__: str

__all__ = [
    "Annotations",
    "Caption",
    "Captioner",
    "ConfigError",
    "DataError",
    "DependencyError",
    "DivergedError",
    "EncoderDecoder",
    "ImageError",
    "Interrupted",
    "ModelError",
    "OutOfMemory",
    "RegardError",
    "SearchOptions",
    "TextError",
    "TranslatedCaption",
    "Translation",
    "Translator",
    "WeightsError",
    "WorkerError",
    "load",
]

_HOMES = {
    "Annotations": "annotations",
    "Caption": "results",
    "Captioner": "pipeline",
    "EncoderDecoder": "model",
    "SearchOptions": "search",
    "TranslatedCaption": "results",
    "Translation": "results",
    "Translator": "pipeline",
    "load": "pipeline",
}
"""The module of each public name; the others are errors."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("regard")
    if name not in __all__:
        raise AttributeError(f"module 'regard' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"regard.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
