"""What captioning and translating return: the text, how sure each word was, and where it looked.

A result is plain data: texts, numbers and numpy arrays, nothing of torch and nothing of drawing. Views show it
(:mod:`regard.result_views`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regard.composed_attention import Floats, compose_attention, link_words, locate
from regard.result_views import Result

if TYPE_CHECKING:
    from regard.annotations import Regions
    from regard.faithfulness import Faithfulness
    from regard.metrics.alignment import Link

_DIGITS = 8
_SHORT = 4
SURE = 0.4
"""The confidence below which three captions of five or more agree less with people's than people's own do."""

Photo = NDArray[np.uint8]
"""RGB pixels, uint8 [height, width, 3]."""


@dataclass(frozen=True)
class Alternative:
    """Another text that the search found; scores compare with each other and with the result's own."""

    text: str
    score: float


@dataclass(frozen=True, eq=False)
class Word:
    """A word of a caption.

    Attributes:
        text: the word as it was written.
        probability: how sure the model was, 0…1.
        weights: float [rows, columns], summing to 1: how much it looked at each region of the photo.
        concept: what the network's classifier calls the thing that the word came from; None where it came from the
            regions themselves, or the model names no concepts.
        evidence: the chance that the word is in what people would write of the photo, 0…1; None of words that say
            nothing of it, and of a model that was not calibrated.
        point: where on the photo the thing lies that the word names, x and y as fractions of its width and height; None
            of words that name nothing. See :mod:`regard.pipeline.pointing`.
        faithfulness: what became of the word without what it looked at; None where nobody measured it.
    """

    text: str
    probability: float
    weights: Floats
    concept: str | None = None
    evidence: float | None = None
    point: tuple[float, float] | None = None
    faithfulness: Faithfulness | None = None

    def __post_init__(self) -> None:
        assert self.weights.ndim == 2, f"weights are [rows, columns], not {self.weights.shape}"
        assert abs(float(self.weights.sum()) - 1) < 1e-3, f"weights sum to 1, not {self.weights.sum()}"

    def to_dict(self) -> dict[str, Any]:
        """``word``, ``probability``, ``weights``, rows that sum to 1, and ``concept`` where it came from one."""
        weights = exact_sums(self.weights.reshape(1, -1)).reshape(self.weights.shape)
        values = {"word": self.text, "probability": round(self.probability, _DIGITS), "weights": weights.tolist()}
        if self.concept is not None:
            values["concept"] = self.concept
        if self.evidence is not None:
            values["evidence"] = round(self.evidence, _SHORT)
        if self.point is not None:
            values["point"] = [round(each, _SHORT) for each in self.point]
        return {**values, **_measured(self.faithfulness)}


@dataclass(frozen=True)
class SourceWord:
    """A word of a sentence to translate, and its characters [start, end) in the sentence as it was given."""

    text: str
    span: tuple[int, int]


@dataclass(frozen=True)
class TargetWord:
    """A word of a translation, and how sure the model was, 0…1.

    Attributes:
        faithfulness: what became of the word without what it looked at; None where nobody measured it.
    """

    text: str
    probability: float
    faithfulness: Faithfulness | None = None

    def to_dict(self) -> dict[str, Any]:
        """``word``, ``probability``, and ``faithfulness`` where it was measured."""
        values = {"word": self.text, "probability": round(self.probability, _DIGITS)}
        return {**values, **_measured(self.faithfulness)}


@dataclass(frozen=True, eq=False)
class Caption(Result):
    """A photo, described.

    Attributes:
        path: the photo's name, as the user gave it.
        text: the caption.
        score: what the search ranked it by; comparable with the alternatives' scores.
        words: the words of the caption, each with where it looked; all grids are of one shape.
        alternatives: other captions, best first.
        finished: False where the search ended before the sentence did.
        confidence: the chance that the caption agrees with people's as people's own do, 0…1; None of a model that was
            not calibrated.
        photo: uint8 [height, width, 3], the original as a person sees it (EXIF turned), at any scale.
        regions: where the cells of the grid lie in the original photo.
    """

    path: str
    text: str
    score: float
    words: tuple[Word, ...]
    alternatives: tuple[Alternative, ...]
    finished: bool
    photo: Photo
    regions: Regions
    confidence: float | None = None

    def __post_init__(self) -> None:
        assert self.photo.shape[2:] == (3,), f"photo is RGB, not {self.photo.shape}"
        assert self.photo.dtype == np.uint8, f"photo is uint8, not {self.photo.dtype}"
        grid = (self.regions.rows, self.regions.columns)
        assert all(word.weights.shape == grid for word in self.words), f"weights have the shape of the grid, {grid}"
        _check_scores(self.score, self.alternatives)

    def __str__(self) -> str:
        return self.text

    @property
    def is_sure(self) -> bool:
        """Whether two in five captions like this agree with people's as people's own do; True where nobody knows."""
        return self.confidence is None or self.confidence >= SURE

    def to_dict(self) -> dict[str, Any]:
        """``path``, ``text``, ``score``, ``words``, ``alternatives``, ``finished``, and where the grid lies, ``grid``.

        ``grid`` has the ``width`` and ``height`` of the photo in pixels, and the edges of ``rows`` (top, bottom) and
        ``columns`` (left, right) as fractions of it. ``confidence`` and ``sure`` are those of a calibrated model.
        """
        rows, columns = ([[round(edge, _DIGITS) for edge in pair] for pair in edges] for edges in self.regions.edges())
        values = {
            "path": self.path,
            "text": self.text,
            "score": round(self.score, _DIGITS),
            "words": [word.to_dict() for word in self.words],
            "alternatives": _plain(self.alternatives),
            "finished": self.finished,
            "grid": {"width": self.regions.width, "height": self.regions.height, "rows": rows, "columns": columns},
        }
        if self.confidence is None:
            return values
        return {**values, "confidence": round(self.confidence, _SHORT), "sure": self.is_sure}


@dataclass(frozen=True, eq=False)
class Translation(Result):
    """A sentence, translated.

    Attributes:
        source: the sentence as it was given.
        text: the translation.
        score: what the search ranked it by; comparable with the alternatives' scores.
        source_words: the words of the source, each with its characters.
        words: the words of the translation.
        alignment: float [target words, source words]; each row sums to 1 (where there are source words at all).
        alternatives: other translations, best first.
        finished: False where the search ended before the sentence did.
        attends: False where the model has no attention, so that its alignment says nothing.
        unfamiliar: True where much of the source is unlike what the model learned from, so that the translation is not
            to be trusted; False too where the model cannot tell.
    """

    source: str
    text: str
    score: float
    source_words: tuple[SourceWord, ...]
    words: tuple[TargetWord, ...]
    alignment: Floats
    alternatives: tuple[Alternative, ...]
    finished: bool
    attends: bool = True
    unfamiliar: bool = False

    def __post_init__(self) -> None:
        shape = (len(self.words), len(self.source_words))
        assert self.alignment.shape == shape, f"alignment is {shape}, not {self.alignment.shape}"
        if self.alignment.size:
            sums = self.alignment.sum(axis=1)
            assert float(np.abs(sums - 1).max()) < 1e-3, f"rows of the alignment sum to 1, not {sums}"
        _check_scores(self.score, self.alternatives)

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name; of source words the text alone."""
        return {
            "source": self.source,
            "text": self.text,
            "score": round(self.score, _DIGITS),
            "source_words": [word.text for word in self.source_words],
            "words": [word.to_dict() for word in self.words],
            "alignment": exact_sums(self.alignment).tolist(),
            "alternatives": _plain(self.alternatives),
            "finished": self.finished,
            "unfamiliar": self.unfamiliar,
        }

    def links(self, tokens: str = "spaces") -> frozenset[Link]:
        """For each target word the source word that it looked at most, as (source, target), counted from 0.

        Args:
            tokens: what is counted as a word, see :data:`regard.metrics.alignment.TOKENS`.

        Raises:
            ConfigError: there are no such tokens.
        """
        from regard.metrics.alignment import attention_links

        source = self.source, [word.span for word in self.source_words]
        target = self.text, locate([word.text for word in self.words], self.text)
        return attention_links(self.alignment, source, target, tokens=tokens)

    def pharaoh(self, tokens: str = "spaces") -> str:
        """:meth:`links` in Pharaoh format: ``source-target``, sorted, with spaces between them.

        Raises:
            ConfigError: there are no such tokens.
        """
        from regard.metrics.alignment import format_pharaoh

        return format_pharaoh(self.links(tokens))


@dataclass(frozen=True, eq=False)
class TranslatedCaption(Result):
    """A photo described and the description translated; a translated word leads back to the photo.

    Attributes:
        caption: the photo and its description.
        translation: that description, translated; its ``source`` is ``caption.text``.
    """

    caption: Caption
    translation: Translation

    def __post_init__(self) -> None:
        assert self.translation.source == self.caption.text, "the caption's own text is what was translated"

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """The translated caption."""
        return self.translation.text

    @cached_property
    def links(self) -> NDArray[np.float64]:
        """How much each translated word looked at each word of the caption, rows summing to 1."""
        if not self.caption.words or not self.translation.alignment.size:
            return np.zeros((len(self.translation.words), 0))
        spans = locate([word.text for word in self.caption.words], self.caption.text)
        return link_words(self.translation.alignment, [word.span for word in self.translation.source_words], spans)

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The translated words, each with where it looked on the photo through the caption; empty without links."""
        if not self.links.size:
            return ()
        composed = compose_attention(self.links, [word.weights for word in self.caption.words])
        pairs = zip(self.translation.words, composed, strict=True)
        return tuple(Word(word.text, word.probability, weights) for word, weights in pairs)

    def to_dict(self) -> dict[str, Any]:
        """The caption's data and ``translation``: the translation's, its words with their ``weights`` on the photo."""
        translation = self.translation.to_dict()
        if self.words:
            translation["words"] = [word.to_dict() for word in self.words]
        return {**self.caption.to_dict(), "translation": translation}


def exact_sums(rows: Floats) -> NDArray[np.float64]:
    """Rows rounded to eight digits that still sum to 1: the largest entry of each row takes the rounding error.

    Args:
        rows: [count, entries], each row summing to 1 as far as its precision goes.
    """
    exact: NDArray[np.float64] = np.asarray(rows, dtype=np.float64)
    if not exact.size:
        return exact
    exact = np.round(exact / exact.sum(axis=1, keepdims=True), _DIGITS)
    each, largest = np.arange(len(exact)), exact.argmax(axis=1)
    exact[each, largest] = np.round(exact[each, largest] + 1 - exact.sum(axis=1), _DIGITS)
    return exact


def _measured(faithfulness: Faithfulness | None) -> dict[str, Any]:
    return {} if faithfulness is None else {"faithfulness": faithfulness.to_dict()}


def _plain(alternatives: Sequence[Alternative]) -> list[dict[str, Any]]:
    return [{"text": each.text, "score": round(each.score, _DIGITS)} for each in alternatives]


def _check_scores(score: float, alternatives: Sequence[Alternative]) -> None:
    scores = [score, *(each.score for each in alternatives)]
    assert all(math.isfinite(each) for each in scores), f"scores are numbers, not {scores}"
