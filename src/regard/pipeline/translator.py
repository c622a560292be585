"""The translator: sentences in, translations out, each word with what it came from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import Unpack

from regard.annotations import Annotations
from regard.composed_attention import locate
from regard.data.batching import pad_sources
from regard.encoders.text import TextEncoder
from regard.errors import ConfigError, ModelError, TextError
from regard.ops.linear import InferencePrecision
from regard.parallel.workers import Workers, WorkSharing
from regard.pipeline.engine import Engine
from regard.pipeline.explain import measure_generation
from regard.pipeline.forced_alignment import ForcedAligner
from regard.pipeline.generation import (
    Generation,
    Ids,
    generate,
    generate_alternatives,
    generate_streaming,
    prefix_ids,
)
from regard.pipeline.isolation import REPORT, Defect, answer_each, describe
from regard.pipeline.length_buckets import LengthBuckets, Pause, SegmentJob, bucket_by_length, segment_jobs
from regard.pipeline.next_words import distinct_next_words
from regard.pipeline.options import SearchChanges, changed_options, fitting_batch
from regard.pipeline.reassembly import reassemble, translations
from regard.pipeline.segments import Source, segment_source
from regard.results import Translation
from regard.saved.bundle import Bundle
from regard.search import SearchOptions

BATCH = 128
"""Sentences that are translated together."""
WINDOW = 8
"""How many batches are read before the first is translated, so that sentences of like length go together."""
LONGEST = 100
"""How many pieces are read at once by a model that does not say so itself."""
BRANCHES = 4
"""How many next pieces are tried for every alternative word that is wanted: several may begin the same word."""


class Translator(WorkSharing):
    """Translates sentences.

    Args:
        bundle: a model of kind ``translator``.
        device: where it computes.
        whole: read every text as one sentence, however long. Otherwise a text is cut into sentences, and these into
            segments where they are longer than the model is used to.
        precision: numeric precision of the model, see :class:`regard.pipeline.engine.Engine`.
        shortlist: write each sentence in pieces of its shortlist alone, which the model's lexicon gives. Probabilities
            are then those among these pieces.
        workers: processes with the same model, which translate the batches of longer work; None for none.

    Raises:
        ConfigError: the model has no such precision.
        ModelError: a shortlist from a model that has no lexicon.

    Attributes:
        languages: what it reads and what it writes, such as ``("en", "de")``.
        precision, shortlist: as given.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "cpu",
        whole: bool = False,
        precision: InferencePrecision = "float32",
        shortlist: bool = False,
        workers: Workers | None = None,
    ) -> None:
        super().__init__(workers)
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
        self._tokenizer = bundle.source_tokenizer or bundle.tokenizer
        self._longest = None if whole else bundle.longest_source or LONGEST
        self._engine = Engine(bundle, device=device, precision=precision, shortlists=shortlist)
        self.device = self._engine.device
        self.precision = precision
        self.shortlist = shortlist

    def translate(
        self, text: str, *, prefix: str = "", alternatives: int | None = None, **changes: Unpack[SearchChanges]
    ) -> Translation:
        """Translate one text.

        Args:
            text: one sentence or several, each of which is translated by itself (see :mod:`regard.pipeline.segments`).
                An empty text has an empty translation.
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

    def stream(
        self,
        text: str,
        on_words: Callable[[Translation], None],
        *,
        prefix: str = "",
        alternatives: int | None = None,
        **changes: Unpack[SearchChanges],
    ) -> Translation:
        """Translate one text, segment by segment, and report its words while the search goes on.

        Args:
            text, prefix, alternatives, changes: as for :meth:`translate`.
            on_words: called with the translation so far whenever it has more words that no later step can change.
                Greedy search (``beam=1``) gives word by word, a beam what its hypotheses agree on.

        Returns:
            The same as :meth:`translate`.

        Raises:
            TextError, ConfigError: as for :meth:`translate`.
        """
        options = changed_options(self.bundle.search, changes, alternatives=alternatives)
        source, beginning = self._read_text(text), prefix_ids(self.bundle.tokenizer, prefix)
        done: list[Generation] = []
        for job in segment_jobs(source, beginning, 0):
            done.append(
                generate_streaming(
                    self._engine,
                    self._annotate([job.ids]),
                    options,
                    lambda partial: on_words(self._reassembled(source, [*done, partial], options)),
                    prefix=job.prefix,
                    number=job.number,
                    own=self._shortlists([job.ids]),
                )
            )
        return self._reassembled(source, done, options)

    def explain(self, text: str, *, prefix: str = "", **changes: Unpack[SearchChanges]) -> Translation:
        """Translate one sentence and measure every word: its ``faithfulness`` says what became of it without the pieces
        of the source that it looked at.

        Args:
            text: one sentence.
            prefix, changes: as for :meth:`translate`.

        Raises:
            TextError: the text is empty or more than one sentence, or cannot be translated.
            ConfigError: an option cannot be used.
            ModelError: the model has no attention, or runs outside of torch.
        """
        options = changed_options(self.bundle.search, changes, alternatives=None)
        source = segment_source(text, self._tokenizer, longest=self._longest)
        if len(source.segments) != 1:
            raise TextError(f"the text has {len(source.segments)} parts", remedy="explain one sentence at a time")
        annotations = self._annotate([source.segments[0].ids])
        beginning = prefix_ids(self.bundle.tokenizer, prefix)
        (generation,) = generate(self._engine, annotations, options, prefixes=[beginning], numbers=[0])
        measured = measure_generation(self._engine, self.bundle.model, annotations, generation, seed=options.seed)
        translation = self._reassembled(source, [generation], options)
        pairs = zip(translation.words, measured, strict=True)
        return replace(translation, words=tuple(replace(word, faithfulness=each) for word, each in pairs))

    def translate_many(
        self,
        texts: Iterable[str | TextError | Pause],
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
                given as its error, and :data:`PAUSE` between two has those before it answered at once.
            batch: how many are translated together; eight times as many are read at a time.
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
        if isinstance(texts, str | bytes):
            raise ConfigError(
                f"translate_many takes many texts, and was given one: {texts!r:.60}",
                remedy="give it to translate, or give a list of texts",
            )
        options = changed_options(self.bundle.search, changes, alternatives=alternatives)
        batch = fitting_batch(batch, options)
        return self._stream(texts, batch, options, prefix_ids(self.bundle.tokenizer, prefix), first)

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
            Whole translations, each with another word at that position, the most probable word first.

        Raises:
            ConfigError: there is no such word, or an option cannot be used.
            TextError: the text is more than one sentence.
        """
        if not 0 <= word < len(translation.words):
            raise ConfigError(f"there is no word {word}", allowed=f"numbers below {len(translation.words)}, from 0")
        options = changed_options(self.bundle.search, changes, alternatives=0)
        words = [each.text for each in translation.words]
        span = locate(words, translation.text)[word]
        assert span is not None, "a translation spells its words"
        prefix = self.bundle.tokenizer.encode(translation.text[: span[0]]).ids
        found = self._continuations(translation.source, prefix, options, count=BRANCHES * count)
        return distinct_next_words(found, words[:word], count=count, unlike=words[word])

    def translations_after(
        self, text: str, prefix: str, *, count: int = 5, **changes: Unpack[SearchChanges]
    ) -> tuple[Translation, ...]:
        """Translations that begin alike and differ in their next word, the most probable word first.

        Args:
            text: one sentence.
            prefix: how all of them begin; empty for other first words.
            count: how many next words are wanted at most.
            changes: as for :meth:`translate`.

        Raises:
            ConfigError: an option cannot be used, or ``prefix`` leaves no room for a word.
            TextError: the text is no sentence or more than one, or ``prefix`` cannot be written.
        """
        options = changed_options(self.bundle.search, changes, alternatives=0)
        beginning = prefix_ids(self.bundle.tokenizer, prefix)
        words = [word.text for word in self.bundle.tokenizer.words(beginning)]
        found = self._continuations(text, beginning, options, count=BRANCHES * count)
        return distinct_next_words(found, words, count=count)

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
        return ForcedAligner(self.bundle, self._annotate).align(pairs, batch=batch)

    def generate_batch(self, jobs: Sequence[SegmentJob], options: SearchOptions) -> list[Generation | Defect]:
        """What the search finds for segments of like length together: the work of one worker.

        Raises:
            ConfigError: a prefix leaves no room for a word.
        """

        def translate_batch(batch: Sequence[SegmentJob]) -> list[Generation]:
            ids = [job.ids for job in batch]
            return generate(
                self._engine,
                self._annotate(ids),
                options,
                prefixes=[job.prefix for job in batch],
                numbers=[job.number for job in batch],
                own=self._shortlists(ids),
            )

        return answer_each(translate_batch, jobs) if jobs else []

    def _continuations(self, text: str, prefix: Ids, options: SearchOptions, *, count: int) -> list[Translation]:
        """Translations of one sentence that begin with ``prefix`` and go on with different pieces.

        Raises:
            TextError: the text is no sentence, or more than one.
        """
        source = self._read_text(text)
        if len(source.segments) != 1:
            raise TextError(f"the text has {len(source.segments)} parts", remedy="ask about one sentence at a time")
        ids = [source.segments[0].ids]
        generations = generate_alternatives(
            self._engine, self._annotate(ids), options, prefix=prefix, count=count, own=self._shortlists(ids)
        )
        return [self._reassembled(source, [generation], options) for generation in generations]

    def _stream(
        self, texts: Iterable[str | TextError | Pause], batch: int, options: SearchOptions, prefix: Ids, number: int
    ) -> Iterator[Translation | TextError]:
        read: deque[LengthBuckets] = deque()

        def requests() -> Iterator[tuple[Sequence[SegmentJob], SearchOptions]]:
            for buckets in self._buckets(texts, batch, prefix, number):
                read.append(buckets)
                yield from (([buckets.jobs[index] for index in indices], options) for indices in buckets.batches)

        with closing(self.share(self.generate_batch, requests())) as answers:
            for first in answers:
                buckets = read.popleft()
                generated = chain([first], islice(answers, len(buckets.batches) - 1))
                yield from translations(buckets, generated, partial(self._reassembled, options=options))

    def _buckets(
        self, texts: Iterable[str | TextError | Pause], batch: int, prefix: Ids, number: int
    ) -> Iterator[LengthBuckets]:
        """What is read at a time, cut into batches of like length."""
        sources: list[Source | TextError] = []
        num_segments = 0
        for text in texts:
            if not isinstance(text, Pause):
                sources.append(self._read(text))
                num_segments += len(sources[-1].segments) if isinstance(sources[-1], Source) else 0
            full = max(num_segments, len(sources)) >= WINDOW * batch
            if full or (sources and isinstance(text, Pause)):
                yield bucket_by_length(sources, prefix, number, batch)
                number += len(sources)
                sources, num_segments = [], 0
        if sources:
            yield bucket_by_length(sources, prefix, number, self._balanced_batch(num_segments, batch))

    def _read(self, text: str | TextError) -> Source | TextError:
        try:
            return text if isinstance(text, TextError) else self._read_text(text)
        except TextError as error:
            return error
        except Exception as error:
            return TextError(f"the text {describe(error)}", remedy=REPORT)

    def _read_text(self, text: str) -> Source:
        if not isinstance(text, str):
            many = isinstance(text, list | tuple)
            raise TextError(
                f"a {type(text).__name__} is no text",
                remedy="give many texts to translate_many" if many else "give a str, such as 'A dog runs.'",
            )
        return segment_source(text, self._tokenizer, longest=self._longest, known=self.bundle.source_words)

    def _reassembled(self, source: Source, generations: Sequence[Generation], options: SearchOptions) -> Translation:
        return reassemble(
            source, generations, alpha=options.length_normalisation, attends=self.bundle.model.decoder.attends
        )

    def _shortlists(self, ids: Sequence[Ids]) -> list[Ids] | None:
        """The pieces that each segment may become besides those that all may; None without shortlists."""
        return None if self._lexicon is None else [tuple(self._lexicon.becomes(each).tolist()) for each in ids]

    def _annotate(self, ids: Sequence[Ids]) -> Annotations:
        return self._engine.annotate(*pad_sources(ids))
