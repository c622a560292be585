"""Pivot translation of captions: a caption is translated, and the attention of both models is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

import numpy as np

from regard.pipeline.options import SearchChanges
from regard.pipeline.translator import Translator
from regard.results import Caption, SourceWord, TranslatedCaption, Translation


def translate_caption(
    caption: Caption, translator: Translator, *, alternatives: int | None = None, **changes: Unpack[SearchChanges]
) -> TranslatedCaption:
    """Translate a caption.

    Captions are spoken without capitals and full stops, and translators learned from sentences with both. So the
    translator is given the caption as a sentence, and what it paid to the full stop is shared out among the words.

    Args:
        caption: of a captioner that speaks the translator's source language.
        translator: into the language that is wanted.
        alternatives, changes: as for :meth:`Translator.translate`.

    Raises:
        ConfigError: an option cannot be used.
    """
    translation = translator.translate(as_sentence(caption.text), alternatives=alternatives, **changes)
    return TranslatedCaption(caption, _of(caption.text, translation))


def as_sentence(text: str) -> str:
    """The text with a capital and a full stop; each character stays where it is."""
    if not text:
        return text
    capital = text[0].upper()
    sentence = (capital if len(capital) == 1 else text[0]) + text[1:]
    return sentence if sentence[-1] in ".!?" else sentence + "."


def _of(text: str, translation: Translation) -> Translation:
    """The translation of a sentence as that of the text it was made from."""
    kept = [i for i, word in enumerate(translation.source_words) if word.span[0] < len(text)]
    spans = [translation.source_words[i].span for i in kept]
    clipped = [(start, min(end, len(text))) for start, end in spans]
    alignment = np.asarray(translation.alignment[:, kept], dtype=np.float64)
    totals = alignment.sum(axis=1, keepdims=True)
    uniform = np.full_like(alignment, 1 / max(1, len(kept)))
    return replace(
        translation,
        source=text,
        source_words=tuple(SourceWord(text[start:end], (start, end)) for start, end in clipped),
        alignment=np.where(totals > 0, alignment / np.where(totals > 0, totals, 1), uniform),
    )
