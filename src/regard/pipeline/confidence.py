"""Features of a caption and its words, from which calibration predicts how often they are right.

Of a word

    log_odds     log p / (1 − p) of the word
    caption      mean log p of the caption's words
    classifier   the probability that the encoder's classifier gives the word, where it is among its concepts
    nameable     whether the classifier could have named the word
    novelty      how far the photo's mean annotation is from those of photos like the training data

and of a caption

    evidence     the mean evidence of its content words
    caption      as above
    novelty      as above
    seen         the probability of the classifier's first word
    length       how many words it has

Entropy of the weights, frequency of the word, and the probability that it loses without what it looked at were tried
too, and told nothing more of whether it is right (docs/evidence.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from regard.annotations import Annotations
from regard.encoders.concepts import concept_words
from regard.evidence.calibration import CAPTION_FEATURES, WORD_FEATURES, Calibration
from regard.evidence.reference_words import is_content_word, same_word
from regard.faithfulness import Floats
from regard.pipeline.generation import Generation

_LARGEST_ODDS = 8.0


def mean_annotations(annotations: Annotations) -> Floats:
    """The mean over the regions of each photo, [photo, dim]."""
    means: Floats = annotations.values[:, : annotations.num_regions].mean(dim=1).double().cpu().numpy()
    return means


def with_novelty(
    generations: Sequence[Generation], annotations: Annotations, calibration: Calibration
) -> list[Generation]:
    """The generations of a batch with how novel their photos are."""
    novelty = calibration.novelty(mean_annotations(annotations)).tolist()
    return [replace(generation, novelty=each) for generation, each in zip(generations, novelty, strict=True)]


def word_evidence(generation: Generation, calibration: Calibration) -> list[float | None]:
    """The evidence for each word, 0…1; None for words that say nothing of the photo."""
    if not generation.words:
        return []
    found = calibration.word(_columns(word_features(generation), WORD_FEATURES, calibration.word.features))
    pairs = zip(generation.words, found.tolist(), strict=True)
    return [value if is_content_word(word.text.lower()) else None for word, value in pairs]


def caption_confidence(generation: Generation, evidence: Sequence[float | None], calibration: Calibration) -> float:
    """The chance that people accept the caption, 0…1."""
    values = caption_features(generation, evidence)[None]
    return float(calibration.caption(_columns(values, CAPTION_FEATURES, calibration.caption.features))[0])


def word_features(generation: Generation) -> Floats:
    """The features of each word, [word, feature], in the order of :data:`WORD_FEATURES`."""
    caption = _mean_log_probability(generation)
    rows = [
        _own_features(generation, word.text.lower(), p)
        for word, p in zip(generation.words, generation.probabilities, strict=True)
    ]
    return np.array([[odds, caption, classifier, nameable, generation.novelty] for odds, classifier, nameable in rows])


def caption_features(generation: Generation, evidence: Sequence[float | None]) -> Floats:
    """The features of a caption, [feature], in the order of :data:`CAPTION_FEATURES`."""
    content = [each for each in evidence if each is not None]
    seen = 0.0 if generation.concepts is None else generation.concepts.probabilities[0]
    mean, length = float(np.mean(content)) if content else 0.0, float(len(generation.words))
    return np.array([mean, _mean_log_probability(generation), generation.novelty, seen, length])


def _own_features(generation: Generation, word: str, p: float) -> tuple[float, float, float]:
    """``log_odds``, ``classifier`` and ``nameable``."""
    odds = math.log(max(p, 1e-9)) - math.log(max(1 - p, 1e-9))
    concepts = generation.concepts
    named = () if concepts is None else zip(concepts.names, concepts.probabilities, strict=True)
    classifier = max((probability for name, probability in named if same_word(word, name)), default=0.0)
    return max(-_LARGEST_ODDS, min(_LARGEST_ODDS, odds)), classifier, float(_nameable(word))


@cache
def _nameable(word: str) -> bool:
    return any(same_word(word, concept.text) for concept in concept_words())


def _mean_log_probability(generation: Generation) -> float:
    return (
        float(np.mean([math.log(max(p, 1e-9)) for p in generation.probabilities])) if generation.probabilities else 0.0
    )


def _columns(values: Floats, names: Sequence[str], wanted: Sequence[str]) -> Floats:
    return values[:, [names.index(name) for name in wanted]]
