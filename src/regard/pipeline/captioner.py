"""The captioner: pictures in, captions out, each word with where it looked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from operator import length_hint
from typing import Unpack

import numpy as np
import torch

from regard.data.images import ImageSource, Pixels
from regard.encoders.image import ImageEncoder
from regard.errors import ImageError
from regard.evidence.calibration import Calibration
from regard.faithfulness import Floats
from regard.ops.linear import InferencePrecision
from regard.parallel.workers import Workers, WorkSharing
from regard.pipeline.concepts import named, split_looks
from regard.pipeline.confidence import caption_confidence, mean_annotations, with_novelty, word_evidence
from regard.pipeline.engine import Engine
from regard.pipeline.generation import Ids, Speech, branch, prefix_ids, speak
from regard.pipeline.inspection import Inspection, inspect_captioner
from regard.pipeline.isolation import REPORT, Defect, answer_each, describe
from regard.pipeline.options import SearchChanges, changed_options
from regard.pipeline.prefetch import Picture, ahead, read_picture
from regard.pipeline.region import Box, Positions, check_box, gather_positions, positions_in, scatter_weights
from regard.results import Caption, Word
from regard.saved.bundle import Bundle
from regard.search import SearchOptions
from regard.text import merge_weights

BATCH = 64
"""Pictures whose captions are searched for together."""
BRANCHES = 2
"""How many next pieces are tried for every next word that is wanted: several may begin the same word."""


class Captioner(WorkSharing):
    """Describes pictures.

    Args:
        bundle: a model of kind ``captioner``.
        device: where it computes.
        precision: in which numbers, see :class:`regard.pipeline.engine.Engine`.
        workers: processes with the same model, which caption the batches of longer work; None for none.

    Raises:
        ConfigError: a precision that the model cannot be had in.

    Attributes:
        precision: as given.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "cpu",
        precision: InferencePrecision = "float32",
        workers: Workers | None = None,
    ) -> None:
        super().__init__(workers)
        assert isinstance(bundle.model.encoder, ImageEncoder), "a captioner reads pictures"
        self.bundle = bundle
        self._encoder = bundle.model.encoder
        self._engine = Engine(bundle, device=device, precision=precision)
        self.device = self._engine.device
        self.precision = precision

    def caption(
        self,
        image: ImageSource,
        *,
        prefix: str = "",
        alternatives: int | None = None,
        region: Box | None = None,
        **changes: Unpack[SearchChanges],
    ) -> Caption:
        """Describe one picture.

        Args:
            image: a path, an open binary file, a Pillow image or an array.
            prefix: how the caption must begin.
            alternatives: how many other captions to give with it; None for three, or what the beam holds.
            region: the part of the photo that attention is held to, ``(left, top, right, bottom)`` as fractions of its
                width and height; None for all of it.
            changes: options of the search by name, such as ``beam=5``; the others are the model's own.

        Raises:
            ImageError: the picture cannot be read.
            ConfigError: an option cannot be used.
            TextError: ``prefix`` holds a word that the model does not know.
        """
        results = self.caption_many(
            [image], batch=1, prefix=prefix, alternatives=alternatives, region=region, **changes
        )
        (result,) = results
        if isinstance(result, ImageError):
            raise result
        return result

    def explain(
        self,
        image: ImageSource,
        *,
        prefix: str = "",
        alternatives: int | None = None,
        pixels: bool = False,
        **changes: Unpack[SearchChanges],
    ) -> Caption:
        """Describe one picture and measure every word: its ``faithfulness`` says what became of it without the regions
        that it looked at.

        Args:
            image, prefix, alternatives, changes: as for :meth:`caption`.
            pixels: hide regions in the photo itself, too, which encodes it anew for every word and share.

        Raises:
            ImageError, ConfigError, TextError: as for :meth:`caption`.
            ModelError: the model has no attention, or runs outside of torch.
        """
        options = changed_options(self.bundle.search, changes, alternatives=alternatives)
        beginning = prefix_ids(self.bundle.codec, prefix)
        picture = read_picture(image, self._encoder)
        if isinstance(picture, ImageError):
            raise picture
        annotations = self._engine.annotate(torch.from_numpy(picture.pixels[None]))
        found = speak(self._engine, annotations, options, prefixes=[beginning], numbers=[0])
        from regard.pipeline.explain import measure_pixels, measure_speech

        (speech,) = with_novelty(named(found, annotations.concepts), annotations, self.bundle.calibration)
        measured = measure_speech(self._engine, self.bundle.model, annotations, speech, seed=options.seed)
        caption = _result(picture, speech, options.length_normalisation, self.bundle.calibration)
        if pixels and caption.words:
            looks = np.array([word.weights.reshape(-1) for word in caption.words], dtype=np.float64)
            grid = (picture.regions.rows, picture.regions.columns)
            measured = measure_pixels(self._engine, picture.pixels, grid, speech, looks, measured)
        pairs = zip(caption.words, measured, strict=True)
        return replace(caption, words=tuple(replace(word, faithfulness=each) for word, each in pairs))

    def caption_many(
        self,
        images: Iterable[ImageSource],
        *,
        batch: int = BATCH,
        prefix: str = "",
        alternatives: int | None = None,
        region: Box | None = None,
        **changes: Unpack[SearchChanges],
    ) -> Iterator[Caption | ImageError]:
        """Describe many pictures, in order, as they are ready; memory does not grow with their number.

        Args:
            images: as for :meth:`caption`; they may be made as they are asked for.
            batch: how many captions are searched for together.
            prefix, alternatives, region, changes: as for :meth:`caption`.

        Returns:
            A caption for each picture; for one that cannot be read, the error in its place.

        Raises:
            ConfigError: an option cannot be used.
            TextError: ``prefix`` holds a word that the model does not know.
        """
        assert batch >= 1, "a batch holds a picture"
        if region is not None:
            check_box(region)
        options = changed_options(self.bundle.search, changes, alternatives=alternatives)
        batch = self._even(length_hint(images), batch)
        return self._stream(images, batch, options, prefix_ids(self.bundle.codec, prefix), region)

    def inspect(
        self, image: ImageSource, *, prefix: str = "", **changes: Unpack[SearchChanges]
    ) -> tuple[Caption, Inspection]:
        """Describe one picture and look into the model while it writes: feature maps, scores, weights, queries.

        Args:
            image, prefix, changes: as for :meth:`caption`.

        Raises:
            ImageError, ConfigError, TextError: as for :meth:`caption`.
            ModelError: the model runs outside of torch.
        """
        options = changed_options(self.bundle.search, changes, alternatives=0)
        beginning = prefix_ids(self.bundle.codec, prefix)
        picture = read_picture(image, self._encoder)
        if isinstance(picture, ImageError):
            raise picture
        annotations = self._engine.annotate(torch.from_numpy(picture.pixels[None]))
        found = speak(self._engine, annotations, options, prefixes=[beginning], numbers=[0])
        (speech,) = named(found, annotations.concepts)
        inspection = inspect_captioner(self.bundle, picture, speech.ids)
        return _result(picture, speech, options.length_normalisation), inspection

    def captions_after(
        self,
        image: ImageSource,
        prefix: str,
        *,
        count: int = 5,
        region: Box | None = None,
        **changes: Unpack[SearchChanges],
    ) -> tuple[Caption, ...]:
        """Captions that begin alike and differ in their next word, the most probable word first.

        Args:
            image, region, changes: as for :meth:`caption`.
            prefix: how all of them begin; empty for other first words.
            count: how many next words are wanted at most.

        Raises:
            ImageError: the picture cannot be read.
            ConfigError: an option cannot be used, or ``prefix`` leaves no room for a word.
            TextError: ``prefix`` holds a word that the model does not know.
        """
        options = changed_options(self.bundle.search, changes, alternatives=0)
        beginning = prefix_ids(self.bundle.codec, prefix)
        picture = read_picture(image, self._encoder)
        if isinstance(picture, ImageError):
            raise picture
        annotations = self._engine.annotate(torch.from_numpy(picture.pixels[None]))
        positions, kept = annotations.num_regions, None
        if region is not None:
            check_box(region)
            kept = positions_in(region, picture.regions)
            annotations = gather_positions(annotations, [kept])
        speeches = branch(self._engine, annotations, options, prefix=beginning, count=BRANCHES * count)
        copies = torch.zeros(len(speeches), dtype=torch.long, device=annotations.values.device)
        speeches = named(speeches, annotations.select(copies).concepts)
        speeches = [_over_grid(speech, kept, positions) for speech in speeches]
        found = [_result(picture, speech, options.length_normalisation, self.bundle.calibration) for speech in speeches]
        said = [word.text for word in self.bundle.codec.words(beginning)]
        from regard.pipeline.next_words import distinct_next_words

        return distinct_next_words(found, said, count=count)

    def observe(self, images: Iterable[ImageSource], *, batch: int = BATCH) -> Iterator[tuple[Speech, Floats]]:
        """What the model's own search finds for each picture, and the mean annotation of it: for calibration.

        Raises:
            ImageError: a picture cannot be read.
        """
        read = ahead(lambda image: read_picture(image, self._encoder), images, count=batch)
        while pictures := list(islice(read, batch)):
            for each in pictures:
                if isinstance(each, ImageError):
                    raise each
            pixels = [each.pixels for each in pictures if isinstance(each, Picture)]
            annotations = self._engine.annotate(torch.from_numpy(np.stack(pixels)))
            prefixes: list[Ids] = [()] * len(pixels)
            found = speak(self._engine, annotations, self.bundle.search, prefixes=prefixes, numbers=range(len(pixels)))
            yield from zip(named(found, annotations.concepts), mean_annotations(annotations), strict=True)

    def say(
        self,
        pixels: Sequence[Pixels],
        options: SearchOptions,
        prefix: Ids,
        number: int,
        kept: Sequence[Positions] | None = None,
    ) -> list[Speech | Defect]:
        """What the search finds for a batch of pictures: the work of one worker.

        Args:
            pixels: uint8 [H, W, 3] of each, as the network looks at them.
            options: how to search.
            prefix: the ids with which captions must begin.
            number: of the first picture among all pictures of the call, for sampling.
            kept: the positions of each picture that attention is held to; None for all.

        Raises:
            ConfigError: the prefix leaves no room for a word.
        """

        def describe_batch(batch: Sequence[int]) -> list[Speech]:
            annotations = self._engine.annotate(torch.from_numpy(np.stack([pixels[each] for each in batch])))
            numbers, prefixes = [number + each for each in batch], [prefix] * len(batch)
            if kept is None:
                speeches = speak(self._engine, annotations, options, prefixes=prefixes, numbers=numbers)
                return with_novelty(named(speeches, annotations.concepts), annotations, calibration)
            # concepts speak for the whole picture, so a part of it does without
            own = [kept[each] for each in batch]
            positions, inside = annotations.num_regions, gather_positions(annotations, own)
            speeches = speak(self._engine, inside, options, prefixes=prefixes, numbers=numbers)
            spread = [_over_grid(speech, each, positions) for speech, each in zip(speeches, own, strict=True)]
            return with_novelty(spread, annotations, calibration)

        calibration = self.bundle.calibration
        return answer_each(describe_batch, range(len(pixels))) if pixels else []

    def _stream(
        self, images: Iterable[ImageSource], batch: int, options: SearchOptions, prefix: Ids, region: Box | None
    ) -> Iterator[Caption | ImageError]:
        waiting: deque[Sequence[Picture | ImageError]] = deque()

        def requests() -> Iterator[tuple[Sequence[Pixels], SearchOptions, Ids, int, Sequence[Positions] | None]]:
            read = ahead(lambda image: read_picture(image, self._encoder), images, count=batch)
            number = 0
            while pictures := list(islice(read, batch)):
                waiting.append(pictures)
                readable = [each for each in pictures if isinstance(each, Picture)]
                kept = None if region is None else [positions_in(region, each.regions) for each in readable]
                yield [each.pixels for each in readable], options, prefix, number, kept
                number += len(readable)

        with closing(self.share(self.say, requests())) as answers:
            for speeches in answers:
                said = iter(speeches)
                for picture in waiting.popleft():
                    yield _answer(picture, said, options.length_normalisation, self.bundle.calibration)


def _answer(
    picture: Picture | ImageError, said: Iterator[Speech | Defect], alpha: float, calibration: Calibration | None
) -> Caption | ImageError:
    """The caption of a picture from the next of what was said, or the error in its place."""
    if isinstance(picture, ImageError):
        return picture
    speech = next(said)
    if isinstance(speech, Defect):
        return ImageError(picture.path, speech.reason, remedy=REPORT)
    try:
        return _result(picture, speech, alpha, calibration)
    except Exception as error:
        return ImageError(picture.path, describe(error), remedy=REPORT)


def _over_grid(speech: Speech, kept: Positions | None, positions: int) -> Speech:
    """The speech with its weights over all positions, where they are over some alone."""
    if kept is None:
        return speech
    return replace(speech, weights=scatter_weights(speech.weights, kept, positions=positions))


def _result(picture: Picture, speech: Speech, alpha: float, calibration: Calibration | None) -> Caption:
    evidence = [None] * len(speech.words) if calibration is None else word_evidence(speech, calibration)
    looks = split_looks(merge_weights(speech.weights, speech.words), speech.concepts)
    grid = (picture.regions.rows, picture.regions.columns)
    words = zip(speech.words, speech.probabilities, looks, evidence, strict=True)
    return Caption(
        path=picture.path,
        text=speech.best.text,
        score=speech.best.score(alpha),
        words=tuple(
            Word(word.text, probability, look.weights.reshape(grid), look.concept, own)
            for word, probability, look, own in words
        ),
        alternatives=speech.alternatives(alpha),
        finished=speech.finished,
        confidence=None if calibration is None else caption_confidence(speech, evidence, calibration),
        photo=picture.photo,
        regions=picture.regions,
    )
