"""Hedging: broader words in place of those whose evidence is below what a person asked for.

A word that is not sure becomes a broader one that is true more often: people become a person or people, a thing of
``imagenet_words.txt`` its broader word (kitten, animal), or ``something`` where there is none; a colour or size is left
out; verbs and what else is unknown stay. Of a caption that is not sure only those words are left that are.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from regard.encoders.concepts import concept_words
from regard.errors import ConfigError
from regard.evidence.reference_words import same_word, stem
from regard.results import Caption, Word

SURE_WORD = 0.5
"""The evidence from which on a word stays of a caption that is not sure."""
_PEOPLE = ("man", "woman", "boy", "girl", "child", "kid", "guy", "lady", "player", "rider", "skier", "surfer", "baby")
_DETAILS = frozenset(
    stem(word)
    for word in (
        *(
            "red",
            "blue",
            "green",
            "yellow",
            "white",
            "black",
            "brown",
            "orange",
            "pink",
            "purple",
            "grey",
            "gray",
            "tan",
        ),
        *("small", "little", "large", "big", "young", "old", "long", "short", "tall", "colorful", "bright", "dark"),
    )
)
_VOWELS = tuple("aeiou")


def hedge(caption: Caption, *, min_evidence: float | None, min_confidence: float | None) -> Caption:
    """The caption with what is not sure said more broadly, or left out.

    Args:
        caption: of a calibrated model.
        min_evidence: of a content word that stays as it is; None for any.
        min_confidence: of a caption that stays a sentence; None for any.

    Raises:
        ConfigError: the model was not calibrated, so that nobody knows what is sure.
    """
    if caption.confidence is None:
        raise ConfigError(
            "the model was not calibrated, so it does not know what it is sure of",
            remedy="calibrate it: regard calibrate",
        )
    if min_confidence is not None and caption.confidence < min_confidence:
        return _rewritten(caption, [word for word in caption.words if (word.evidence or 0) >= SURE_WORD], joint=", ")
    if min_evidence is None:
        return caption
    words = [
        _broader(word) if word.evidence is not None and word.evidence < min_evidence else word for word in caption.words
    ]
    return _rewritten(caption, _with_articles([word for word in words if word is not None]), joint=" ")


def _rewritten(caption: Caption, words: list[Word], *, joint: str) -> Caption:
    return replace(caption, text=joint.join(word.text for word in words), words=tuple(words))


def _broader(word: Word) -> Word | None:
    """The word for something that is true more often; None to leave it out."""
    if stem(word.text) in _DETAILS:
        return None
    broader = _broader_text(word.text.lower())
    return word if broader is None else replace(word, text=broader, evidence=None)


@cache
def _broader_text(text: str) -> str | None:
    plural = text.endswith("s") or text in ("men", "women", "children", "people")
    if any(same_word(text, person) for person in _PEOPLE):
        return "people" if plural else "person"
    for concept in concept_words():
        if same_word(text, concept.text):
            return "something" if concept.broader is None else concept.broader + ("s" if plural else "")
    return None


def _with_articles(words: list[Word]) -> list[Word]:
    """The words with a and an as what follows them asks, and without an article before something."""
    found: list[Word] = []
    for word, following in zip(words, [*words[1:], None], strict=True):
        article = word.text.lower() in ("a", "an")
        if article and (following is None or following.text == "something"):
            continue
        if article and following is not None:
            text = "an" if following.text.startswith(_VOWELS) else "a"
            found.append(replace(word, text=text) if word.text in ("a", "an") else word)
        else:
            found.append(word)
    return found
