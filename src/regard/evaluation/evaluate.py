"""Scoring a saved model as its users meet it: real inputs through the real pipeline, real search, scores on words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Unpack

from regard.errors import ConfigError
from regard.evaluation.outputs import caption_split, translate_split
from regard.metrics import score_captions, score_translations
from regard.pipeline import Captioner, SearchChanges, Translator, load
from regard.progress import SILENT, Progress


def evaluate(
    model: str | os.PathLike[str] | Captioner | Translator,
    data: Path,
    split: str,
    *,
    meteor: bool = False,
    progress: Progress = SILENT,
    **changes: Unpack[SearchChanges],
) -> dict[str, Any]:
    """Score a model on a split.

    Args:
        model: a loaded one, or what :func:`regard.load` takes.
        data: for a captioner a folder in the layout of Flickr8k or COCO; for a translator one with parallel sentences.
        split: its name.
        meteor: score captions with METEOR too, which needs Java.
        progress: receives progress.
        changes: options of the search, such as ``beam=5``; the others are the model's own.

    Returns:
        As ``regard evaluate`` prints them: ``split``, ``count``, the scores × 100 by name, ``seconds`` (for reading,
        searching and writing all of the split, without loading the model and without scoring), ``precision`` and, of a
        translator, ``shortlist``, with which they were reached, and ``signature``.

    Raises:
        ModelError: the model cannot be used.
        DataError: the data cannot be used.
        ConfigError: an option cannot be used.
        DependencyError: METEOR was asked for and cannot run here.
    """
    loaded = load(model) if isinstance(model, str | os.PathLike) else model
    if isinstance(loaded, Captioner):
        return _captions(loaded, data, split, meteor=meteor, progress=progress, changes=changes)
    if meteor:
        raise ConfigError("METEOR scores captions, and the model is a translator")
    return _translations(loaded, data, split, progress=progress, changes=changes)


def _captions(
    captioner: Captioner, data: Path, split: str, *, meteor: bool, progress: Progress, changes: SearchChanges
) -> dict[str, Any]:
    outputs = caption_split(captioner, data, split, progress=progress, changes=changes)
    scores = score_captions(outputs.hypotheses, outputs.references, also=["meteor"] if meteor else []).as_dict()
    return _scored(split, scores, seconds=round(outputs.seconds, 3), precision=captioner.precision)


def _translations(
    translator: Translator, data: Path, split: str, *, progress: Progress, changes: SearchChanges
) -> dict[str, Any]:
    outputs = translate_split(translator, data, split, progress=progress, changes=changes)
    target = translator.languages[1]
    scores = score_translations(outputs.hypotheses, outputs.references, target_language=target).as_dict()
    how = {"precision": translator.precision, "shortlist": translator.shortlist}
    return _scored(split, scores, seconds=round(outputs.seconds, 3), **how)


def _scored(split: str, scores: dict[str, Any], **conditions: float | str) -> dict[str, Any]:
    numbers = {name: value for name, value in scores.items() if "signature" not in name}
    signatures = {name: value for name, value in scores.items() if "signature" in name}
    return {"split": split, **numbers, **conditions, **signatures}
