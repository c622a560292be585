"""Robustness of a translator: its scores on sources as people type them, in capitals, without a full stop and so on."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

from regard.data.parallel import SentencePairs, read_parallel
from regard.errors import TextError
from regard.metrics import score_translations
from regard.pipeline import SearchChanges, Translator
from regard.progress import SILENT, Progress
from regard.text.noise import NOISE

PLAIN, JOINED = "plain", "joined"


@dataclass(frozen=True, kw_only=True)
class ChangedScore:
    """The score of a split whose sources are changed in one way.

    Attributes:
        change: its name in :data:`regard.text.noise.NOISE`; ``plain`` for none, ``joined`` for two pairs at once.
        changed: how many sources it changes.
        bleu: of the translations of all sources.
        loss: how much less that is than the BLEU of the plain sources.
        signature: of ``bleu``.
    """

    change: str
    changed: int
    bleu: float
    loss: float
    signature: str


def measure_robustness(
    translator: Translator,
    data: Path,
    split: str,
    *,
    progress: Progress = SILENT,
    **changes: Unpack[SearchChanges],
) -> list[ChangedScore]:
    """BLEU of a split as it is and changed in each way that people type, against the same references.

    Args:
        translator: a loaded model.
        data: a folder with parallel sentences.
        split: its name.
        progress: receives progress.
        changes: options of the search, such as ``beam=5``.

    Raises:
        DataError: the data cannot be used.
        ConfigError: an option cannot be used.
    """
    source, target = translator.languages
    pairs = read_parallel(data, split, source=source, target=target)
    joined = SentencePairs(_two_at_once(pairs.sources), _two_at_once(pairs.targets), pairs.report)
    variants = {PLAIN: pairs}
    variants |= {name: replace(pairs, sources=tuple(map(change, pairs.sources))) for name, change in NOISE.items()}
    translator.start_workers()
    scores: list[ChangedScore] = []
    for name, variant in (variants | {JOINED: joined}).items():
        changed = len(pairs) if variant is joined else sum(map(operator.ne, variant.sources, pairs.sources))
        if scores and not changed:  # what is the same need not be translated again
            scores.append(replace(scores[0], change=name))
            continue
        progress.start(name, len(variant))
        bleu, signature = _score(translator, variant, progress, changes)
        loss = scores[0].bleu - bleu if scores else 0.0
        scores.append(ChangedScore(change=name, changed=changed, bleu=bleu, loss=loss, signature=signature))
    return scores


def _score(
    translator: Translator, pairs: SentencePairs, progress: Progress, changes: SearchChanges
) -> tuple[float, str]:
    """BLEU and its signature."""
    hypotheses = []
    for result in translator.translate_many(pairs.sources, alternatives=0, **changes):
        if isinstance(result, TextError):
            raise result
        hypotheses.append(result.text)
        progress.advance(1)
    scores = score_translations(hypotheses, pairs.targets, target_language=translator.languages[1])
    return scores["bleu"], scores.signature


def _two_at_once(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Texts two by two, the last of an odd number by itself."""
    return tuple(" ".join(texts[first : first + 2]) for first in range(0, len(texts), 2))
