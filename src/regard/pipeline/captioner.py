"""The captioner: pictures in, captions out, each word with where it looked."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from operator import length_hint
from typing import TYPE_CHECKING, Unpack

import numpy as np
import torch
from PIL import Image

from regard.annotations import Annotations
from regard.data.images import ImageSource, Pixels, image_name
from regard.encoders.image import ImageEncoder
from regard.errors import ConfigError, ImageError
from regard.ops.linear import InferencePrecision
from regard.parallel.workers import Workers, WorkSharing
from regard.pipeline.caption_results import answer, caption_of, on_photo
from regard.pipeline.concepts import named
from regard.pipeline.engine import Engine
from regard.pipeline.generation import (
    Generation,
    Ids,
    generate,
    generate_alternatives,
    generate_streaming,
    prefix_ids,
)
from regard.pipeline.isolation import Defect, answer_each
from regard.pipeline.options import SearchChanges, changed_options, fitting_batch
from regard.pipeline.prefetch import AHEAD, PreparedImage, cut_batches, prefetch, prepare_image
from regard.pipeline.region import Box, Positions, check_box, gather_positions, positions_in
from regard.results import Caption
from regard.saved.bundle import Bundle
from regard.search import SearchOptions

if TYPE_CHECKING:
    from regard.evidence.calibration import Calibration
    from regard.faithfulness import Floats
    from regard.pipeline.inspection import Inspection

BATCH = 64
"""Pictures whose captions are searched for together."""
BRANCHES = 2
"""How many next pieces are tried for every next word that is wanted: several may begin the same word."""


class Captioner(WorkSharing):
    """Describes pictures.

    Args:
        bundle: a model of kind ``captioner``.
        device: where it computes.
        precision: numeric precision of the model, see :class:`regard.pipeline.engine.Engine`.
        workers: processes with the same model, which caption the batches of longer work; None for none.

    Raises:
        ConfigError: the model has no such precision.

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
        beginning = prefix_ids(self.bundle.tokenizer, prefix)
        picture, annotations = self._read(image)
        found = generate(self._engine, annotations, options, prefixes=[beginning], numbers=[0])
        from regard.pipeline.explain import measure_generation, measure_pixels

        (generation,) = on_photo(found, annotations, None, self.bundle.calibration)
        measured = measure_generation(self._engine, self.bundle.model, annotations, generation, seed=options.seed)
        caption = caption_of(picture, generation, options.length_normalisation, self.bundle.calibration)
        if pixels and caption.words:
            attended = np.array([word.weights.reshape(-1) for word in caption.words], dtype=np.float64)
            grid = (picture.regions.rows, picture.regions.columns)
            measured = measure_pixels(self._engine, picture.pixels, grid, generation, attended, measured)
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
        if isinstance(images, str | os.PathLike | bytes | Image.Image | np.ndarray):
            raise ConfigError(
                f"caption_many takes many pictures, and was given one: {image_name(images)}",
                remedy="give it to caption, or give a list of pictures",
            )
        if region is not None:
            check_box(region)
        options = changed_options(self.bundle.search, changes, alternatives=alternatives)
        batch = self._balanced_batch(length_hint(images), fitting_batch(batch, options))
        return self._stream(images, batch, options, prefix_ids(self.bundle.tokenizer, prefix), region)

    def stream(
        self,
        image: ImageSource,
        on_words: Callable[[Caption], None],
        *,
        prefix: str = "",
        alternatives: int | None = None,
        region: Box | None = None,
        **changes: Unpack[SearchChanges],
    ) -> Caption:
        """Describe one picture, and report its words while the search goes on.

        Args:
            image, prefix, alternatives, region, changes: as for :meth:`caption`.
            on_words: called with the caption so far whenever it has more words that no later step can change; their
                evidence and its confidence depend on the whole, and are None. Greedy search (``beam=1``) gives word by
                word, a beam what its hypotheses agree on.

        Returns:
            The same as :meth:`caption`.

        Raises:
            ImageError, ConfigError, TextError: as for :meth:`caption`.
        """
        options = changed_options(self.bundle.search, changes, alternatives=alternatives)
        beginning = prefix_ids(self.bundle.tokenizer, prefix)
        picture, annotations = self._read(image)
        allowed = None if region is None else [positions_in(check_box(region), picture.regions)]
        inside = annotations if allowed is None else gather_positions(annotations, allowed)

        def caption(generation: Generation, calibration: Calibration | None) -> Caption:
            (found,) = on_photo([generation], annotations, allowed, calibration)
            return caption_of(picture, found, options.length_normalisation, calibration)

        whole = generate_streaming(
            self._engine,
            inside,
            options,
            lambda partial: on_words(caption(partial, None)),
            prefix=beginning,
            number=0,
        )
        return caption(whole, self.bundle.calibration)

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
        beginning = prefix_ids(self.bundle.tokenizer, prefix)
        picture, annotations = self._read(image)
        found = generate(self._engine, annotations, options, prefixes=[beginning], numbers=[0])
        (generation,) = on_photo(found, annotations, None, self.bundle.calibration)
        from regard.pipeline.inspection import inspect_captioner

        inspection = inspect_captioner(self.bundle, picture, generation.ids)
        caption = caption_of(picture, generation, options.length_normalisation, self.bundle.calibration)
        return caption, inspection

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
        beginning = prefix_ids(self.bundle.tokenizer, prefix)
        picture, annotations = self._read(image)
        allowed = None if region is None else [positions_in(check_box(region), picture.regions)]
        inside = annotations if allowed is None else gather_positions(annotations, allowed)
        generations = generate_alternatives(self._engine, inside, options, prefix=beginning, count=BRANCHES * count)
        copies = torch.zeros(len(generations), dtype=torch.long, device=annotations.values.device)
        every = None if allowed is None else allowed * len(generations)
        found = [
            caption_of(picture, generation, options.length_normalisation, self.bundle.calibration)
            for generation in on_photo(generations, annotations.select(copies), every, self.bundle.calibration)
        ]
        words = [word.text for word in self.bundle.tokenizer.words(beginning)]
        from regard.pipeline.next_words import distinct_next_words

        return distinct_next_words(found, words, count=count)

    def observe(self, images: Iterable[ImageSource], *, batch: int = BATCH) -> Iterator[tuple[Generation, Floats]]:
        """What the model's own search finds for each picture, and the mean annotation of it: for calibration.

        Raises:
            ImageError: a picture cannot be read.
        """
        from regard.pipeline.confidence import mean_annotations

        read = prefetch(lambda image: prepare_image(image, self._encoder), images, count=batch)
        while pictures := list(islice(read, batch)):
            for each in pictures:
                if isinstance(each, ImageError):
                    raise each
            pixels = [each.pixels for each in pictures if isinstance(each, PreparedImage)]
            annotations = self._engine.annotate(torch.from_numpy(np.stack(pixels)))
            prefixes: list[Ids] = [()] * len(pixels)
            found = generate(
                self._engine, annotations, self.bundle.search, prefixes=prefixes, numbers=range(len(pixels))
            )
            yield from zip(named(found, annotations.concepts), mean_annotations(annotations), strict=True)

    def generate_batch(
        self,
        pixels: Sequence[Pixels],
        options: SearchOptions,
        prefix: Ids,
        number: int,
        allowed: Sequence[Positions] | None = None,
    ) -> list[Generation | Defect]:
        """What the search finds for a batch of pictures: the work of one worker.

        Args:
            pixels: uint8 [H, W, 3] of each, as the network reads them.
            options: how to search.
            prefix: the ids with which captions must begin.
            number: of the first picture among all pictures of the call, for sampling.
            allowed: the positions of each picture that attention is held to; None for all.

        Raises:
            ConfigError: the prefix leaves no room for a word.
        """

        def describe_batch(batch: Sequence[int]) -> list[Generation]:
            annotations = self._engine.annotate(torch.from_numpy(np.stack([pixels[each] for each in batch])))
            numbers, prefixes = [number + each for each in batch], [prefix] * len(batch)
            own = None if allowed is None else [allowed[each] for each in batch]
            inside = annotations if own is None else gather_positions(annotations, own)
            generations = generate(self._engine, inside, options, prefixes=prefixes, numbers=numbers)
            return on_photo(generations, annotations, own, self.bundle.calibration)

        return answer_each(describe_batch, range(len(pixels))) if pixels else []

    def _read(self, image: ImageSource) -> tuple[PreparedImage, Annotations]:
        """One picture and its annotations.

        Raises:
            ImageError: it cannot be read.
        """
        picture = prepare_image(image, self._encoder)
        if isinstance(picture, ImageError):
            raise picture
        return picture, self._engine.annotate(torch.from_numpy(picture.pixels[None]))

    def _stream(
        self, images: Iterable[ImageSource], batch: int, options: SearchOptions, prefix: Ids, region: Box | None
    ) -> Iterator[Caption | ImageError]:
        waiting: deque[Sequence[PreparedImage | ImageError]] = deque()

        def requests() -> Iterator[tuple[Sequence[Pixels], SearchOptions, Ids, int, Sequence[Positions] | None]]:
            read = prefetch(lambda image: prepare_image(image, self._encoder), images, count=min(batch, AHEAD))
            number = 0
            for pictures in cut_batches(read, batch):
                waiting.append(pictures)
                readable = [each for each in pictures if isinstance(each, PreparedImage)]
                allowed = None if region is None else [positions_in(region, each.regions) for each in readable]
                yield [each.pixels for each in readable], options, prefix, number, allowed
                number += len(readable)

        with closing(self.share(self.generate_batch, requests())) as answers:
            for generations in answers:
                generated = iter(generations)
                for picture in waiting.popleft():
                    yield answer(picture, generated, options.length_normalisation, self.bundle.calibration)
