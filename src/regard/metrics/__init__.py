"""Scores of captions and translations. Every score carries a signature that says how it was computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regard.registry import lazy_names

if TYPE_CHECKING:
    from regard.metrics.alignment import WordAlignment, alignment_error_rate, format_pharaoh, parse_pharaoh
    from regard.metrics.bleu import BleuReferences, corpus_bleu, sentence_bleu
    from regard.metrics.captions import score_captions
    from regard.metrics.cider import CiderD, ReferenceVectors, cider_d_scores, corpus_cider_d
    from regard.metrics.meteor import corpus_meteor
    from regard.metrics.metric import Scores
    from regard.metrics.resampling import (
        Bootstrap,
        LengthBin,
        PairedComparison,
        bleu_by_length,
        compare_means,
        compare_systems,
    )
    from regard.metrics.rouge import corpus_rouge_l, rouge_l
    from regard.metrics.shared_task import shared_task_tokens
    from regard.metrics.translations import score_translations
    from regard.text.captions import caption_tokens

__all__ = [
    "BleuReferences",
    "Bootstrap",
    "CiderD",
    "LengthBin",
    "PairedComparison",
    "ReferenceVectors",
    "Scores",
    "WordAlignment",
    "alignment_error_rate",
    "bleu_by_length",
    "caption_tokens",
    "cider_d_scores",
    "compare_means",
    "compare_systems",
    "corpus_bleu",
    "corpus_cider_d",
    "corpus_meteor",
    "corpus_rouge_l",
    "format_pharaoh",
    "parse_pharaoh",
    "rouge_l",
    "score_captions",
    "score_translations",
    "sentence_bleu",
    "shared_task_tokens",
]

__getattr__ = lazy_names(
    __name__,
    {
        "BleuReferences": "regard.metrics.bleu",
        "Bootstrap": "regard.metrics.resampling",
        "CiderD": "regard.metrics.cider",
        "LengthBin": "regard.metrics.resampling",
        "PairedComparison": "regard.metrics.resampling",
        "ReferenceVectors": "regard.metrics.cider",
        "Scores": "regard.metrics.metric",
        "WordAlignment": "regard.metrics.alignment",
        "alignment_error_rate": "regard.metrics.alignment",
        "bleu_by_length": "regard.metrics.resampling",
        "caption_tokens": "regard.text.captions",
        "cider_d_scores": "regard.metrics.cider",
        "compare_means": "regard.metrics.resampling",
        "compare_systems": "regard.metrics.resampling",
        "corpus_bleu": "regard.metrics.bleu",
        "corpus_cider_d": "regard.metrics.cider",
        "corpus_meteor": "regard.metrics.meteor",
        "corpus_rouge_l": "regard.metrics.rouge",
        "format_pharaoh": "regard.metrics.alignment",
        "parse_pharaoh": "regard.metrics.alignment",
        "rouge_l": "regard.metrics.rouge",
        "score_captions": "regard.metrics.captions",
        "score_translations": "regard.metrics.translations",
        "sentence_bleu": "regard.metrics.bleu",
        "shared_task_tokens": "regard.metrics.shared_task",
    },
)
