"""What a captioner knows of its own words: the features that calibration turns into numbers a person can use.

Of a word

    log_odds     log p / (1 − p) of the word
    caption      mean log p of the caption's words
    rank         log of the word's place in the vocabulary, which is in order of frequency
    entropy      of its weights, as a share of that of uniform ones
    classifier   the probability that the encoder's classifier gives the word, where it is among its concepts
    nameable     whether the classifier could have named the word
    loss         log p that it loses without the fifth of the positions that it looked at most

and of a caption

    evidence     the mean evidence of its content words
    least        the least of these
    caption      as above
    novelty      distance of the photo's mean annotation from those of photos like the training data, in standard deviations
    seen         the probability of the classifier's first word
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from regard.encoders.concepts import concept_words
from regard.evidence.reference_words import is_content_word, same_word, stem
from regard.faithfulness import Floats
from regard.pipeline.generation import Speech

_LARGEST_ODDS = 8.0


def word_features(speech: Speech) -> Floats:
    """The features of each word but ``loss``, [word, feature], in the order of :data:`WORD_FEATURES`."""
    caption = _mean_log_probability(speech)
    return np.array([[*_own_features(speech, word, caption)] for word in range(len(speech.words))]).reshape(-1, 6)


WORD_FEATURES = ("log_odds", "caption", "rank", "entropy", "classifier", "nameable")
CAPTION_FEATURES = ("evidence", "least", "caption", "novelty", "seen")


def _own_features(speech: Speech, word: int, caption: float) -> tuple[float, ...]:
    p, pieces = speech.probabilities[word], list(speech.words[word].pieces)
    odds = math.log(max(p, 1e-9)) - math.log(max(1 - p, 1e-9))
    rank = math.log(max(speech.ids[piece] for piece in pieces))
    weights = speech.weights[pieces].mean(axis=0)
    positive = weights[weights > 0]
    entropy = float(-(positive * np.log(positive)).sum()) / math.log(max(2, len(weights)))
    text = speech.words[word].text
    named = () if speech.concepts is None else zip(speech.concepts.names, speech.concepts.probabilities, strict=True)
    classifier = max((probability for name, probability in named if same_word(text, name)), default=0.0)
    return max(-_LARGEST_ODDS, min(_LARGEST_ODDS, odds)), caption, rank, entropy, classifier, float(_nameable(text))


@cache
def _nameable(word: str) -> bool:
    return any(same_word(word, concept.text) for concept in concept_words())


def _mean_log_probability(speech: Speech) -> float:
    return float(np.mean([math.log(max(p, 1e-9)) for p in speech.probabilities])) if speech.probabilities else 0.0


def caption_features(speech: Speech, evidence: Floats, novelty: float) -> Floats:
    """The features of a caption, [feature], in the order of :data:`CAPTION_FEATURES`.

    Args:
        speech: the caption.
        evidence: of each word, [word].
        novelty: of its photo.
    """
    content = [float(each) for each, word in zip(evidence, speech.words, strict=True) if is_content_word(word.text)]
    seen = 0.0 if speech.concepts is None else speech.concepts.probabilities[0]
    mean, least = (float(np.mean(content)), min(content)) if content else (0.0, 0.0)
    return np.array([mean, least, _mean_log_probability(speech), novelty, seen])
