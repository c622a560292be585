"""What one result puts on a page: a photo, one or two sentences, and how their words are linked.

The page knows captions, translations and translated captions only in this form, so it is written once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from regard.views.composed_attention import Span, locate
from regard.views.heat_map import Floats, Photo
from regard.views.region_names import describe_place, percent

if TYPE_CHECKING:
    from regard.annotations import Regions
    from regard.results import Alternative, Caption, TranslatedCaption, Translation

_PARTNERS = 3
_LEAST_PARTNER = 0.1


@dataclass(frozen=True)
class LaneWord:
    """A word in a sentence: its text, its characters in the sentence, how sure it was, and what to say of it."""

    text: str
    span: Span | None
    probability: float | None
    sayings: tuple[str, ...] = ()

    def saying(self, more: str) -> LaneWord:
        """The same word with one more thing to say of it."""
        return replace(self, sayings=(*self.sayings, more))


Words = tuple[LaneWord, ...]


@dataclass(frozen=True)
class Lane:
    """One sentence of an article.

    Attributes:
        title: what the sentence is.
        text: the sentence.
        words: its words.
        looks: where each word looked, [rows, columns] each; empty for a sentence without a photo.
        score: what the search gave it; None for a sentence that was given.
        alternatives: other sentences in its place.
        finished: False where the search ended before the sentence did.
        note: what a reader has to know of its links; empty where there is nothing to say.
    """

    title: str
    text: str
    words: Words
    looks: tuple[Floats, ...] = ()
    score: float | None = None
    alternatives: tuple[Alternative, ...] = ()
    finished: bool = True
    note: str = ""


@dataclass(frozen=True)
class Article:
    """One result on a page.

    Attributes:
        name: the photo's name, or the sentence that was translated.
        lanes: one or two sentences; the first is the source where there are two.
        links: [words of the second lane, words of the first], rows summing to 1; None with one lane.
        photo, regions: the photo and where its cells lie; None for a translation.
    """

    name: str
    lanes: tuple[Lane, ...]
    links: Floats | None = None
    photo: Photo | None = None
    regions: Regions | None = None


def caption_article(caption: Caption) -> Article:
    """A photo and its caption."""
    return Article(caption.path, (_caption_lane(caption),), photo=caption.photo, regions=caption.regions)


def translation_article(translation: Translation) -> Article:
    """A sentence and its translation."""
    return Article(translation.source, _translation_lanes(translation), links=translation.alignment)


def translated_article(result: TranslatedCaption) -> Article:
    """A photo, its caption, and the caption's translation, whose words lead back to the photo."""
    caption, links = result.caption, result.links
    first, second = _caption_lane(caption), _target_lane(result.translation)
    texts = [word.text for word in first.words]
    if links.size:
        first = replace(first, words=_became(first.words, links, [word.text for word in second.words]))
        looks = tuple(word.weights for word in result.words)
        came = _came_from(second.words, links, texts)
        second = replace(second, words=_looked_at(came, looks, caption.regions), looks=looks)
    return Article(caption.path, (first, second), links, caption.photo, caption.regions)


def _caption_lane(caption: Caption) -> Lane:
    texts, looks = [word.text for word in caption.words], tuple(word.weights for word in caption.words)
    words = tuple(
        LaneWord(word.text, span, word.probability, (f"{percent(word.probability)} sure",))
        for word, span in zip(caption.words, locate(texts, caption.text), strict=True)
    )
    words = _looked_at(words, looks, caption.regions)
    return Lane("Caption", caption.text, words, looks, caption.score, caption.alternatives, caption.finished)


def _translation_lanes(result: Translation) -> tuple[Lane, Lane]:
    words = tuple(LaneWord(word.text, word.span, None) for word in result.source_words)
    source, target = Lane("Source", result.source, words), _target_lane(result)
    if not result.alignment.size:
        return source, target
    sources, targets = [word.text for word in words], [word.text for word in result.words]
    return (
        replace(source, words=_became(words, result.alignment, targets)),
        replace(target, words=_came_from(target.words, result.alignment, sources)),
    )


def _target_lane(result: Translation) -> Lane:
    spans = locate([word.text for word in result.words], result.text)
    words = tuple(
        LaneWord(word.text, span, word.probability, (f"{percent(word.probability)} sure",))
        for word, span in zip(result.words, spans, strict=True)
    )
    score, others, note = result.score, result.alternatives, alignment_note(result)
    return Lane("Translation", result.text, words, (), score, others, result.finished, note)


def alignment_note(translation: Translation) -> str:
    """What a reader has to know of the alignment; empty where there is nothing to say."""
    if translation.attends or not translation.words:
        return ""
    return "This model takes the whole sentence at once: no word came from any other in particular."


def _looked_at(words: Words, looks: Sequence[Floats], regions: Regions) -> Words:
    places = [describe_place(look, regions) for look in looks]
    return tuple(word.saying(f"looked at: {place}") for word, place in zip(words, places, strict=True))


def _became(words: Words, links: Floats, targets: Sequence[str]) -> Words:
    return tuple(word.saying(f"became: {_partners(links[:, i], targets)}") for i, word in enumerate(words))


def _came_from(words: Words, links: Floats, sources: Sequence[str]) -> Words:
    return tuple(word.saying(f"came from: {_partners(links[i], sources)}") for i, word in enumerate(words))


def _partners(weights: Floats, words: Sequence[str]) -> str:
    """The words with the largest weights, such as ``dog 81 %, a 12 %``."""
    largest = np.argsort(-weights, kind="stable")[:_PARTNERS]
    named = [f"{words[i]} {percent(float(weights[i]))}" for i in largest if weights[i] >= _LEAST_PARTNER]
    return ", ".join(named) or "no word in particular"
