"""What one result puts on a page: a photo, one or two sentences, and how their words are linked.

The page knows results of every kind only in this form, so it is written once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from regard.composed_attention import Floats, Span, locate
from regard.faithfulness import FRACTIONS, JUDGED, WEIGHTS, Faithfulness
from regard.result_views import Result
from regard.results import Alternative, Caption, Photo, TranslatedCaption, Translation, Word
from regard.views.region_names import describe_point, describe_region, percent

if TYPE_CHECKING:
    from regard.annotations import Regions

_PARTNERS = 3
_LEAST_PARTNER = 0.1


@dataclass(frozen=True)
class TrackWord:
    """A word in a sentence: its text, its characters in the sentence, how sure it was, and what to say of it.

    Attributes:
        curve: (share, probability) as what the word looked at is taken away; empty where nobody measured it.
        supported: False where the word is as probable without what it looked at.
    """

    text: str
    span: Span | None
    probability: float | None
    details: tuple[str, ...] = ()
    curve: tuple[tuple[float, float], ...] = ()
    supported: bool = True

    def with_detail(self, more: str) -> TrackWord:
        """The same word with one more thing to say of it."""
        return replace(self, details=(*self.details, more))


Words = tuple[TrackWord, ...]


@dataclass(frozen=True)
class SentenceTrack:
    """One sentence of a result.

    Attributes:
        title: what the sentence is.
        text: the sentence.
        words: its words.
        weights: where each word looked, [rows, columns] each; empty for a sentence without a photo.
        score: what the search gave it; None for a sentence that was given.
        alternatives: other sentences in its place.
        finished: False where the search ended before the sentence did.
        note: what a reader has to know of its links; empty where there is nothing to say.
        points: where each word points, as fractions of the photo's width and height; None for a word that does not.
    """

    title: str
    text: str
    words: Words
    weights: tuple[Floats, ...] = ()
    score: float | None = None
    alternatives: tuple[Alternative, ...] = ()
    finished: bool = True
    note: str = ""
    points: tuple[tuple[float, float] | None, ...] = ()


@dataclass(frozen=True)
class ViewModel:
    """One result on a page.

    Attributes:
        name: the photo's name, or the sentence that was translated.
        tracks: one or two sentences; the first is the source where there are two.
        links: [words of the second track, words of the first], rows summing to 1; None with one track.
        photo, regions: the photo and where its cells lie; None for a translation.
    """

    name: str
    tracks: tuple[SentenceTrack, ...]
    links: Floats | None = None
    photo: Photo | None = None
    regions: Regions | None = None


def view_model(result: Result) -> ViewModel:
    """The result as a page shows it."""
    match result:
        case Caption():
            return _caption_view(result)
        case TranslatedCaption():
            return _translated_caption_view(result)
        case Translation():
            return _translation_view(result)
    raise AssertionError(f"a {type(result).__name__} has no page")


def _caption_view(caption: Caption) -> ViewModel:
    """A photo and its caption."""
    return ViewModel(caption.path, (_caption_track(caption),), photo=caption.photo, regions=caption.regions)


def _translation_view(translation: Translation) -> ViewModel:
    """A sentence and its translation."""
    return ViewModel(translation.source, _translation_tracks(translation), links=translation.alignment)


def _translated_caption_view(result: TranslatedCaption) -> ViewModel:
    """A photo, its caption, and the caption's translation, whose words lead back to the photo."""
    caption, links = result.caption, result.links
    first, second = _caption_track(caption), _target_track(result.translation)
    texts = [word.text for word in first.words]
    if links.size:
        first = replace(first, words=_became(first.words, links, [word.text for word in second.words]))
        weights = tuple(word.weights for word in result.words)
        came = _came_from(second.words, links, texts)
        second = replace(second, words=_looked_at(came, weights, caption.regions), weights=weights)
    return ViewModel(caption.path, (first, second), links, caption.photo, caption.regions)


def _caption_track(caption: Caption) -> SentenceTrack:
    texts, weights = [word.text for word in caption.words], tuple(word.weights for word in caption.words)
    words = tuple(
        TrackWord(word.text, span, word.probability, _known(word))
        for word, span in zip(caption.words, locate(texts, caption.text), strict=True)
    )
    words = _evidence(_looked_at(words, weights, caption.regions), [word.faithfulness for word in caption.words])
    return SentenceTrack(
        title="Caption",
        text=caption.text,
        words=words,
        weights=weights,
        points=tuple(word.point for word in caption.words),
        score=caption.score,
        alternatives=caption.alternatives,
        finished=caption.finished,
        note="" if caption.is_sure else "Not sure: of captions like this, three in five are unlike what people write.",
    )


def _known(word: Word) -> tuple[str, ...]:
    """What the model knows of one of its words."""
    sure = (f"{percent(word.probability)} sure",)
    right = () if word.evidence is None else (f"right in {percent(word.evidence)} of such cases",)
    where = () if word.point is None else (f"points at the {describe_point(word.point)}",)
    return (*sure, *right, *(() if word.concept is None else (f"seen as: {word.concept}",)), *where)


def _translation_tracks(result: Translation) -> tuple[SentenceTrack, SentenceTrack]:
    words = tuple(TrackWord(word.text, word.span, None) for word in result.source_words)
    source, target = SentenceTrack("Source", result.source, words), _target_track(result)
    if not result.alignment.size:
        return source, target
    sources, targets = [word.text for word in words], [word.text for word in result.words]
    return (
        replace(source, words=_became(words, result.alignment, targets)),
        replace(target, words=_came_from(target.words, result.alignment, sources)),
    )


def _target_track(result: Translation) -> SentenceTrack:
    spans = locate([word.text for word in result.words], result.text)
    words = tuple(
        TrackWord(word.text, span, word.probability, (f"{percent(word.probability)} sure",))
        for word, span in zip(result.words, spans, strict=True)
    )
    words = _evidence(words, [word.faithfulness for word in result.words])
    score, others, note = result.score, result.alternatives, alignment_note(result)
    return SentenceTrack("Translation", result.text, words, (), score, others, result.finished, note)


def alignment_note(translation: Translation) -> str:
    """What a reader has to know of the alignment; empty where there is nothing to say."""
    if translation.attends or not translation.words:
        return ""
    return "This model takes the whole sentence at once: no word came from any other in particular."


def _looked_at(words: Words, weights: Sequence[Floats], regions: Regions) -> Words:
    places = [describe_region(each, regions) for each in weights]
    return tuple(word.with_detail(f"looked at: {place}") for word, place in zip(words, places, strict=True))


def _evidence(words: Words, measured: Sequence[Faithfulness | None]) -> Words:
    """The words with what was measured of them."""
    return tuple(
        word if each is None else _with_evidence(word, each) for word, each in zip(words, measured, strict=True)
    )


def _with_evidence(word: TrackWord, measured: Faithfulness) -> TrackWord:
    without = math.exp(measured.curves[WEIGHTS].deleted[FRACTIONS.index(JUDGED)])
    before, share = percent(math.exp(measured.log_probability)), percent(JUDGED)
    text = f"{before} sure, {percent(without)} without the {share} it looked at most"
    detail = f"evidence: {text}" if measured.supported else f"no evidence: {text}"
    curve = tuple(zip((0.0, *FRACTIONS, 1.0), measured.probabilities(), strict=True))
    return replace(word.with_detail(detail), curve=curve, supported=measured.supported)


def _became(words: Words, links: Floats, targets: Sequence[str]) -> Words:
    return tuple(word.with_detail(f"became: {_partners(links[:, i], targets)}") for i, word in enumerate(words))


def _came_from(words: Words, links: Floats, sources: Sequence[str]) -> Words:
    return tuple(word.with_detail(f"came from: {_partners(links[i], sources)}") for i, word in enumerate(words))


def _partners(weights: Floats, words: Sequence[str]) -> str:
    """The words with the largest weights, such as ``dog 81 %, a 12 %``."""
    largest = np.argsort(-weights, kind="stable")[:_PARTNERS]
    named = [f"{words[i]} {percent(float(weights[i]))}" for i in largest if weights[i] >= _LEAST_PARTNER]
    return ", ".join(named) or "no word in particular"
