"""Each text of an evaluation beside what people wrote, with its own scores, as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from regard.evaluation.outputs import Outputs
from regard.files import write_file
from regard.metrics import caption_tokens, cider_d_scores, sentence_bleu
from regard.metrics.resampling import bleu_from_statistics, bleu_statistics

DIGITS = 2


def write_caption_scores(path: Path, outputs: Outputs[Sequence[str]]) -> None:
    """Write ``path``, ``caption``, ``references``, ``cider`` and ``bleu4`` of each photo; scores are × 100.

    The mean of ``cider`` is the CIDEr-D of the split; BLEU-4 of a sentence is smoothed, and its mean is not that of the
    split.

    Raises:
        DataError: it cannot be written.
    """
    texts = [caption_tokens(text) for text in outputs.hypotheses]
    groups = [[caption_tokens(text) for text in group] for group in outputs.references]
    ciders, bleus = cider_d_scores(texts, groups), map(sentence_bleu, texts, groups)
    _write(
        path,
        [
            {"path": photo, "caption": caption, "references": list(references), **_rounded(cider=cider, bleu4=bleu)}
            for photo, caption, references, cider, bleu in zip(
                outputs.inputs, outputs.hypotheses, outputs.references, ciders, bleus, strict=True
            )
        ],
    )


def write_translation_scores(path: Path, outputs: Outputs[str]) -> None:
    """Write ``source``, ``translation``, ``reference`` and ``bleu`` (smoothed, 13a tokens, × 100) of each sentence.

    Raises:
        DataError: it cannot be written.
    """
    bleus = bleu_from_statistics(bleu_statistics(outputs.hypotheses, outputs.references)) / 100
    _write(
        path,
        [
            {"source": source, "translation": translation, "reference": reference, **_rounded(bleu=float(bleu))}
            for source, translation, reference, bleu in zip(
                outputs.inputs, outputs.hypotheses, outputs.references, bleus, strict=True
            )
        ],
    )


def _rounded(**scores: float) -> dict[str, float]:
    return {name: round(100 * score, DIGITS) for name, score in scores.items()}


def _write(path: Path, rows: Sequence[dict[str, object]]) -> None:
    write_file(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
