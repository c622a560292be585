"""Scores of captions and translations. Every score carries a signature that says how it was computed."""

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
from regard.metrics.shared_task_tokens import shared_task_tokens
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
