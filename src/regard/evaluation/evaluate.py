"""Scoring a saved model as its users meet it: real inputs through the real pipeline, real search, scores on words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from regard.errors import ConfigError
from regard.evaluation.item_scores import write_caption_scores, write_translation_scores
from regard.evaluation.outputs import Outputs, caption_split, translate_split
from regard.files import check_suffix
from regard.metrics import score_captions, score_translations
from regard.pipeline import Captioner, SearchChanges, Translator, load
from regard.progress import SILENT, Progress

FEW_IMAGES = 50
FEW_NOTE = (
    f"CIDEr of fewer than {FEW_IMAGES} images: how rare words are comes from their references alone, so it compares "
    "only with scores on the same images"
)


def evaluate(
    model: str | os.PathLike[str] | Captioner | Translator,
    data: Path,
    split: str,
    *,
    meteor: bool = False,
    output: Path | None = None,
    progress: Progress = SILENT,
    **changes: Unpack[SearchChanges],
) -> dict[str, Any]:
    """Score a model on a split.

    Args:
        model: a loaded one, or what :func:`regard.load` takes.
        data: for a captioner a folder in the layout of Flickr8k or COCO; for a translator one with parallel sentences.
        split: its name.
        meteor: score captions with METEOR too, which needs Java.
        output: a file of JSON lines, for each text beside its references, with its own scores; None for none.
        progress: receives progress.
        changes: options of the search, such as ``beam=5``; the others are the model's own.

    Returns:
        As ``regard evaluate`` prints them: ``split``, ``count``, the scores × 100 by name, ``seconds`` (for reading,
        searching and writing all of the split, without loading the model and without scoring), ``precision`` and, of a
        translator, ``shortlist``, with which they were reached, and ``signature``; of captions of few photos ``note``.

    Raises:
        ModelError: the model cannot be used.
        DataError: the data cannot be used.
        ConfigError: an option cannot be used.
        DependencyError: METEOR was asked for and cannot run here.
    """
    if output is not None:
        check_suffix(output, [".jsonl"])
    loaded = load(model) if isinstance(model, str | os.PathLike) else model
    if isinstance(loaded, Captioner):
        described = caption_split(loaded, data, split, progress=progress, changes=changes)
        return _captions(loaded, described, split, meteor=meteor, output=output)
    if meteor:
        raise ConfigError("METEOR scores captions, and the model is a translator")
    return _translations(
        loaded, translate_split(loaded, data, split, progress=progress, changes=changes), split, output
    )


def _captions(
    captioner: Captioner, outputs: Outputs[Sequence[str]], split: str, *, meteor: bool, output: Path | None
) -> dict[str, Any]:
    if output is not None:
        write_caption_scores(output, outputs)
    scores = score_captions(outputs.hypotheses, outputs.references, also=["meteor"] if meteor else []).as_dict()
    note = {"note": FEW_NOTE} if len(outputs.hypotheses) < FEW_IMAGES else {}
    return _scored(split, scores, seconds=round(outputs.seconds, 3), precision=captioner.precision, **note)


def _translations(translator: Translator, outputs: Outputs[str], split: str, output: Path | None) -> dict[str, Any]:
    if output is not None:
        write_translation_scores(output, outputs)
    target = translator.languages[1]
    scores = score_translations(outputs.hypotheses, outputs.references, target_language=target).as_dict()
    how = {"precision": translator.precision, "shortlist": translator.shortlist}
    return _scored(split, scores, seconds=round(outputs.seconds, 3), **how)


def _scored(split: str, scores: dict[str, Any], **conditions: float | str) -> dict[str, Any]:
    numbers = {name: value for name, value in scores.items() if "signature" not in name}
    signatures = {name: value for name, value in scores.items() if "signature" in name}
    return {"split": split, **numbers, **conditions, **signatures}
