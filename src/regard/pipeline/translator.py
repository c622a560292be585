"""The translator: sentences in, translations out, each word with what it came from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Unpack

import numpy as np
import numpy.typing as npt

from regard.annotations import Annotations
from regard.bundle import Bundle
from regard.data.batching import cut, pad_sources
from regard.encoders.text import TextEncoder
from regard.errors import ConfigError, ModelError, TextError
from regard.explain.chain import locate
from regard.explain.results import Alternative, SourceWord, TargetWord, Translation
from regard.kernels.products import InferencePrecision
from regard.pipeline.engine import Engine
from regard.pipeline.options import SearchChanges, changed_options
from regard.pipeline.parts import MAX_PIECES, Part, Source, read_source
from regard.pipeline.speech import Ids, Said, Speech, branch, force, prefix_ids, speak
from regard.search import SearchOptions
from regard.text import merge_weights

BATCH = 64
"""Sentences that are translated together."""
WINDOW = 16
"""How many batches are read before the first is translated, so that sentences of like length go together."""
LONGEST = 100
"""How many pieces are read at once by a model that does not say so itself."""
TOKENS = 4096
"""The most tokens of given translations that are read together, padding included, on their longer side."""
CELLS = 2**24
"""The most weights of given translations that are kept at a time, 64 MiB of them."""
BRANCHES = 4
"""How many next pieces are tried for every alternative word that is wanted: several may begin the same word."""

_Pair = tuple[Source, Source]


@dataclass(frozen=True)
class _Job:
    """One part of one text, and what to say of it."""

    part: Part
    prefix: Ids
    number: int


class Translator:
    """Translates sentences.

    Args:
        bundle: a model of kind ``translator``.
        device: where it computes.
        whole: read every text as one sentence, however long. Otherwise a text is cut into sentences, and these into
            parts where they are longer than the model is used to.
        precision: in which numbers, see :class:`regard.pipeline.engine.Engine`.
        shortlist: write each sentence in pieces of its shortlist alone, which the model's lexicon gives. Probabilities
            are then those among these pieces.

    Raises:
        ConfigError: a precision that the model cannot be had in.
        ModelError: a shortlist from a model that has no lexicon.

    Attributes:
        languages: what it reads and what it writes, such as ``("en", "de")``.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "cpu",
        whole: bool = False,
        precision: InferencePrecision = "float32",
        shortlist: bool = False,
    ) -> None:
        assert isinstance(bundle.model.encoder, TextEncoder), "a translator reads sentences"
        assert bundle.languages is not None, "a translator knows its languages"
        if shortlist and bundle.lexicon is None:
            raise ModelError(
                "the model has no lexicon to choose a shortlist from",
                remedy="make one from its training pairs with regard shortlist, or go without",
            )
        self.bundle = bundle
        self._lexicon = bundle.lexicon if shortlist else None
        self.languages = bundle.languages
        self._codec = bundle.source_codec or bundle.codec
        self._longest = None if whole else bundle.longest_source or LONGEST
        self._engine = Engine(bundle, device=device, precision=precision, shortlists=shortlist)
        self.device = self._engine.device

    def translate(
        self, text: str, *, prefix: str = "", alternatives: int | None = None, **changes: Unpack[SearchChanges]
    ) -> Translation:
        """Translate one text.

        Args:
            text: one sentence or several, each of which is translated by itself (see :mod:`regard.pipeline.parts`). An
                empty text has an empty translation.
            prefix: how the translation must begin.
            alternatives: how many other translations to give with it; None for three, or what the beam holds.
            changes: options of the search by name, such as ``beam=5``; the others are the model's own.

        Raises:
            TextError: the text is not Unicode text or far too long, or ``prefix`` cannot be written.
            ConfigError: an option cannot be used.
        """
        (result,) = self.translate_many([text], prefix=prefix, alternatives=alternatives, **changes)
        if isinstance(result, TextError):
            raise result
        return result

    def translate_many(
        self,
        texts: Iterable[str | TextError],
        *,
        batch: int = BATCH,
        first: int = 0,
        prefix: str = "",
        alternatives: int | None = None,
        **changes: Unpack[SearchChanges],
    ) -> Iterator[Translation | TextError]:
        """Translate many texts, in order; memory does not grow with their number.

        Args:
            texts: as for :meth:`translate`; they may be made as they are asked for. One that could not be read may be
                given as its error.
            batch: how many are translated together; sixteen times as many are read at a time.
            first: which text the first one is, of a longer row of which it continues the translation: what is drawn at
                random for a text is a function of the seed and of its number.
            prefix, alternatives, changes: as for :meth:`translate`.

        Returns:
            A translation of each text; for one that cannot be translated, the error in its place.

        Raises:
            TextError: ``prefix`` cannot be written.
            ConfigError: an option cannot be used.
        """
        assert batch >= 1, "a batch holds a sentence"
        options = changed_options(self.bundle.search, changes, alternatives=alternatives)
        return self._stream(texts, batch, options, prefix_ids(self.bundle.codec, prefix), first)

    def alternatives_for(
        self, translation: Translation, word: int, *, count: int = 5, **changes: Unpack[SearchChanges]
    ) -> tuple[Translation, ...]:
        """Other ways to go on from one word of a translation.

        Args:
            translation: of this translator.
            word: which word is to be another, from 0; the words before it stay.
            count: how many other words are wanted at most.
            changes: as for :meth:`translate`.

        Returns:
            Whole translations, each with another word at that place, the most probable word first.

        Raises:
            ConfigError: there is no such word, or an option cannot be used.
            TextError: the text is more than one sentence.
        """
        if not 0 <= word < len(translation.words):
            raise ConfigError(f"there is no word {word}", allowed=f"numbers below {len(translation.words)}, from 0")
        source = read_source(translation.source, self._codec, longest=self._longest)
        if len(source.parts) != 1:
            raise TextError(f"the text has {len(source.parts)} parts", remedy="ask about one sentence at a time")
        options = changed_options(self.bundle.search, changes, alternatives=0)
        said = [each.text for each in translation.words]
        place = locate(said, translation.text)[word]
        assert place is not None, "a translation spells its words"
        prefix = self.bundle.codec.encode(translation.text[: place[0]]).ids
        ids = [source.parts[0].ids]
        speeches = branch(
            self._engine,
            self._annotate(ids),
            options,
            prefix=prefix,
            count=BRANCHES * count,
            own=None if self._lexicon is None else self._lexicon.becomes(ids[0]).tolist(),
        )
        found = [self._joined(source, [speech], options) for speech in speeches]
        found.sort(key=lambda each: -each.words[word].probability if word < len(each.words) else 0.0)
        others: dict[str, Translation] = {}
        for each in found:
            texts = [target.text for target in each.words]
            if texts[:word] == said[:word] and len(texts) > word and texts[word] != said[word]:
                others.setdefault(texts[word], each)
        return tuple(islice(others.values(), count))

    def align_many(self, pairs: Iterable[tuple[str, str]], *, batch: int = BATCH) -> Iterator[Translation | TextError]:
        """What the model makes of translations that are given: where it looks for each of their words, and how
        probable it finds them. Nothing is searched, and sources are read whole.

        Args:
            pairs: sentences and their translations, as typed; they may be made as they are asked for.
            batch: how many are read together.

        Returns:
            For each pair, in order, the given translation with its alignment and its score, or the error in its place.
        """
        assert batch >= 1, "a batch holds a pair"
        for window in self._pair_windows(pairs, WINDOW * batch):
            yield from self._align(window, batch)

    def _pair_windows(self, pairs: Iterable[tuple[str, str]], count: int) -> Iterator[list[_Pair | TextError]]:
        """At most ``count`` pairs at a time, and no more weights than :data:`CELLS` in all unless one pair has."""
        window: list[_Pair | TextError] = []
        cells = 0
        for source, target in pairs:
            pair = self._read_pair(source, target)
            size = 0 if isinstance(pair, TextError) else math.prod(_lengths(pair))
            if window and (len(window) == count or cells + size > CELLS):
                yield window
                window, cells = [], 0
            window.append(pair)
            cells += size
        if window:
            yield window

    def _align(self, window: Sequence[_Pair | TextError], batch: int) -> Iterator[Translation | TextError]:
        """Align what has been read, pairs of like length together, and give it in order."""
        pairs = [each for each in window if not isinstance(each, TextError)]
        lengths = np.array([_lengths(pair) for pair in pairs], dtype=np.int64).reshape(-1, 2)
        # every step of a target costs, so its length decides before that of the source; lexsort's last key comes first
        order = np.lexsort(-lengths.T)
        batches = cut(order, lengths.max(axis=1), batch_size=batch, max_tokens=TOKENS) if pairs else []
        forced: dict[int, Speech | TextError] = {}
        for places in batches:
            forced.update(zip(places.tolist(), self._force([pairs[place] for place in places]), strict=True))
        speeches = iter(forced[place] for place in range(len(pairs)))
        for each in window:
            if isinstance(each, TextError):
                yield each
                continue
            speech = next(speeches)
            yield speech if isinstance(speech, TextError) else self._joined(each[0], [speech], self.bundle.search)

    def _read_pair(self, source: str, target: str) -> _Pair | TextError:
        try:
            read = read_source(source, self._codec, longest=None), read_source(target, self.bundle.codec, longest=None)
        except TextError as error:
            return error
        if not all(side.parts for side in read):
            return TextError("one side of the pair is empty", remedy="leave the pair out")
        return read

    def _force(self, pairs: Sequence[_Pair]) -> list[Speech | TextError]:
        try:
            annotations = self._annotate([source.parts[0].ids for source, _ in pairs])
            return [*force(self.bundle, annotations, [target for _, target in pairs])]
        except TextError as error:  # a side has more tokens than the model has positions
            return [error] if len(pairs) == 1 else [each for pair in pairs for each in self._force([pair])]

    def _stream(
        self, texts: Iterable[str | TextError], batch: int, options: SearchOptions, prefix: Ids, number: int
    ) -> Iterator[Translation | TextError]:
        window: list[Source | TextError] = []
        num_parts = 0
        for text in texts:
            window.append(self._read(text))
            num_parts += len(window[-1].parts) if isinstance(window[-1], Source) else 0
            if max(num_parts, len(window)) >= WINDOW * batch:
                yield from self._window(window, batch, options, prefix, number)
                number += len(window)
                window, num_parts = [], 0
        yield from self._window(window, batch, options, prefix, number)

    def _read(self, text: str | TextError) -> Source | TextError:
        try:
            return text if isinstance(text, TextError) else read_source(text, self._codec, longest=self._longest)
        except TextError as error:
            return error

    def _window(
        self, sources: Sequence[Source | TextError], batch: int, options: SearchOptions, prefix: Ids, number: int
    ) -> Iterator[Translation | TextError]:
        """Translate what has been read, sentences of like length together, and give it in order."""
        # no text has more parts than pieces, so that all parts of all texts have numbers of their own
        jobs = [
            _Job(part, () if i else prefix, each * MAX_PIECES + i)
            for each, source in enumerate(sources, start=number)
            for i, part in enumerate(source.parts if isinstance(source, Source) else ())
        ]
        order = sorted(range(len(jobs)), key=lambda place: len(jobs[place].part.ids))
        spoken: dict[int, Speech] = {}
        for first in range(0, len(order), batch):
            places = order[first : first + batch]
            spoken.update(zip(places, self._speak([jobs[place] for place in places], options), strict=True))
        speeches = iter(spoken[place] for place in range(len(jobs)))
        for source in sources:
            if isinstance(source, TextError):
                yield source
            else:
                yield self._joined(source, list(islice(speeches, len(source.parts))), options)

    def _speak(self, jobs: Sequence[_Job], options: SearchOptions) -> list[Speech]:
        ids = [job.part.ids for job in jobs]
        return speak(
            self._engine,
            self._annotate(ids),
            options,
            prefixes=[job.prefix for job in jobs],
            numbers=[job.number for job in jobs],
            own=None if self._lexicon is None else [self._lexicon.becomes(each).tolist() for each in ids],
        )

    def _joined(self, source: Source, speeches: Sequence[Speech], options: SearchOptions) -> Translation:
        return _joined(source, speeches, options, attends=self.bundle.model.decoder.attends)

    def _annotate(self, ids: Sequence[Ids]) -> Annotations:
        return self._engine.annotate(*pad_sources(ids))


def _lengths(pair: _Pair) -> tuple[int, int]:
    """How many tokens its sides have."""
    source, target = (len(side.parts[0].ids) for side in pair)
    return source, target


def _joined(source: Source, speeches: Sequence[Speech], options: SearchOptions, *, attends: bool) -> Translation:
    """The translations of the parts of a text as one; its parts are aligned with nothing but themselves."""
    alpha = options.length_normalisation
    best = _join([speech.best for speech in speeches])
    # the n-th alternative of the whole is made of the n-th of each part, or of its best where it has fewer
    others = zip_longest(*(speech.others for speech in speeches))
    joined = [_join([said or speech.best for said, speech in zip(row, speeches, strict=True)]) for row in others]
    words = [pair for speech in speeches for pair in zip(speech.words, speech.probabilities, strict=True)]
    return Translation(
        source=source.text,
        text=best.text,
        score=best.score(alpha),
        source_words=tuple(SourceWord(word.text, word.span) for word in source.words),
        words=tuple(TargetWord(word.text, probability) for word, probability in words),
        alignment=_alignment(source, speeches),
        alternatives=tuple(Alternative(said.text, said.score(alpha)) for said in joined),
        finished=all(speech.finished for speech in speeches),
        attends=attends,
    )


def _join(said: Sequence[Said]) -> Said:
    return Said(
        text=" ".join(each.text for each in said if each.text),
        log_probability=sum(each.log_probability for each in said),
        length=sum(each.length for each in said),
    )


def _alignment(source: Source, speeches: Sequence[Speech]) -> npt.NDArray[np.float64]:
    """[target words, source words], one block for each part. Where nothing is written, no memory is touched."""
    alignment = np.zeros((sum(len(speech.words) for speech in speeches), len(source.words)))
    row = 0
    for part, speech in zip(source.parts, speeches, strict=True):
        block = merge_weights(speech.weights, speech.words, part.words)
        alignment[row : row + len(block), part.first_word : part.first_word + len(part.words)] = block
        row += len(block)
    return alignment
