"""Results and how they are shown: overlay on a photo, alignment matrix, page, and whether the look was to the point."""

from regard.explain.results import (
    Alternative,
    Caption,
    Result,
    SourceWord,
    TargetWord,
    TranslatedCaption,
    Translation,
    Word,
    save_together,
)

__all__ = [
    "Alternative",
    "Caption",
    "Result",
    "SourceWord",
    "TargetWord",
    "TranslatedCaption",
    "Translation",
    "Word",
    "save_together",
]
