"""What a metric is: a score of captions or of translations, with how it is computed.

A new metric is one file with a :class:`CaptionMetric` or a :class:`TranslationMetric`, and one line in
:data:`CAPTION_METRICS` or :data:`TRANSLATION_METRICS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from regard.registry import Registry

Tokens = Sequence[str]


@dataclass(frozen=True)
class CaptionMetric:
    """One or more scores of a corpus of captions.

    Attributes:
        names: of the scores.
        signature: its part of the signature of all scores; it changes when the same captions get other numbers.
        compute: from the tokens of each caption and those of its references to the scores, 1 or more for perfect ones.
        on_request: computed only where it is asked for.
    """

    names: tuple[str, ...]
    signature: str
    compute: Callable[[Sequence[Tokens], Sequence[Sequence[Tokens]]], Sequence[float]]
    on_request: bool = False


@dataclass(frozen=True)
class TranslationMetric:
    """One score of a corpus of translations.

    Attributes:
        compute: from the translations, their references and the code of the target language to the score, 100 for
            perfect ones, and its signature.
    """

    compute: Callable[[Sequence[str], Sequence[str], str], tuple[float, str]]


@dataclass(frozen=True)
class Scores:
    """Scores of a corpus, × 100: a CIDEr-D of 0.58 is 58.0 here.

    Attributes:
        count: the number of texts.
        values: the scores by name.
        signatures: how they were computed; only scores of equal signature can be compared. ``signature`` is that of all
            of them, or of the first where others have their own as ``NAME_signature``.
    """

    count: int
    values: dict[str, float]
    signatures: dict[str, str]

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    @property
    def signature(self) -> str:
        """The main signature."""
        return self.signatures["signature"]

    def as_dict(self) -> dict[str, int | float | str]:
        """Plain data for JSON."""
        return {"count": self.count, **self.values, **self.signatures}


CAPTION_METRICS: Registry[CaptionMetric] = Registry(
    "metric of captions",
    {
        "bleu": "regard.metrics.bleu:CAPTION_BLEU",
        "cider": "regard.metrics.cider:CIDER",
        "rouge_l": "regard.metrics.rouge:ROUGE_L",
        "meteor": "regard.metrics.meteor:METEOR",
    },
)
"""The metrics of captions, in the order in which they are reported."""

TRANSLATION_METRICS: Registry[TranslationMetric] = Registry(
    "metric of translations",
    {
        "bleu": "regard.metrics.sacrebleu_scores:BLEU",
        "chrf": "regard.metrics.sacrebleu_scores:CHRF",
        "bleu_lc_tok": "regard.metrics.sacrebleu_scores:BLEU_LC_TOK",
    },
)
"""The metrics of translations, in the order in which they are reported."""


def caption_score_names() -> list[str]:
    """The scores that every evaluation of captions gives."""
    metrics = (CAPTION_METRICS[each] for each in CAPTION_METRICS)
    return [name for metric in metrics if not metric.on_request for name in metric.names]
