"""The captioner: pictures in, captions out, each word with where it looked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from operator import length_hint
from typing import Unpack

import numpy as np
import torch

from regard.data.images import ImageSource, Pixels
from regard.encoders.image import ImageEncoder
from regard.errors import ImageError
from regard.ops.linear import InferencePrecision
from regard.parallel.workers import Workers, WorkSharing
from regard.pipeline.engine import Engine
from regard.pipeline.generation import Ids, Speech, prefix_ids, speak
from regard.pipeline.options import SearchChanges, changed_options
from regard.pipeline.prefetch import Picture, ahead, read_picture
from regard.results import Caption, Word
from regard.saved.bundle import Bundle
from regard.search import SearchOptions
from regard.text import merge_weights

BATCH = 64
"""Pictures whose captions are searched for together."""


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
        **changes: Unpack[SearchChanges],
    ) -> Caption:
        """Describe one picture.

        Args:
            image: a path, an open binary file, a Pillow image or an array.
            prefix: how the caption must begin.
            alternatives: how many other captions to give with it; None for three, or what the beam holds.
            changes: options of the search by name, such as ``beam=5``; the others are the model's own.

        Raises:
            ImageError: the picture cannot be read.
            ConfigError: an option cannot be used.
            TextError: ``prefix`` holds a word that the model does not know.
        """
        results = self.caption_many([image], batch=1, prefix=prefix, alternatives=alternatives, **changes)
        (result,) = results
        if isinstance(result, ImageError):
            raise result
        return result

    def caption_many(
        self,
        images: Iterable[ImageSource],
        *,
        batch: int = BATCH,
        prefix: str = "",
        alternatives: int | None = None,
        **changes: Unpack[SearchChanges],
    ) -> Iterator[Caption | ImageError]:
        """Describe many pictures, in order, as they are ready; memory does not grow with their number.

        Args:
            images: as for :meth:`caption`; they may be made as they are asked for.
            batch: how many captions are searched for together.
            prefix, alternatives, changes: as for :meth:`caption`.

        Returns:
            A caption for each picture; for one that cannot be read, the error in its place.

        Raises:
            ConfigError: an option cannot be used.
            TextError: ``prefix`` holds a word that the model does not know.
        """
        assert batch >= 1, "a batch holds a picture"
        options = changed_options(self.bundle.search, changes, alternatives=alternatives)
        batch = self._even(length_hint(images), batch)
        return self._stream(images, batch, options, prefix_ids(self.bundle.codec, prefix))

    def say(self, pixels: Sequence[Pixels], options: SearchOptions, prefix: Ids, number: int) -> list[Speech]:
        """What the search finds for a batch of pictures: the work of one worker.

        Args:
            pixels: uint8 [H, W, 3] of each, as the network looks at them.
            options: how to search.
            prefix: the ids with which captions must begin.
            number: of the first picture among all pictures of the call, for sampling.

        Raises:
            ConfigError: the prefix leaves no room for a word.
        """
        if not pixels:
            return []
        annotations = self._engine.annotate(torch.from_numpy(np.stack(pixels)))
        numbers, prefixes = range(number, number + len(pixels)), [prefix] * len(pixels)
        return speak(self._engine, annotations, options, prefixes=prefixes, numbers=numbers)

    def _stream(
        self, images: Iterable[ImageSource], batch: int, options: SearchOptions, prefix: Ids
    ) -> Iterator[Caption | ImageError]:
        waiting: deque[Sequence[Picture | ImageError]] = deque()

        def requests() -> Iterator[tuple[Sequence[Pixels], SearchOptions, Ids, int]]:
            read = ahead(lambda image: read_picture(image, self._encoder), images, count=batch)
            number = 0
            while pictures := list(islice(read, batch)):
                waiting.append(pictures)
                pixels = [each.pixels for each in pictures if isinstance(each, Picture)]
                yield pixels, options, prefix, number
                number += len(pixels)

        with closing(self.share(self.say, requests())) as answers:
            for speeches in answers:
                said = iter(speeches)
                for picture in waiting.popleft():
                    if isinstance(picture, Picture):
                        yield _result(picture, next(said), options.length_normalisation)
                    else:
                        yield picture


def _result(picture: Picture, speech: Speech, alpha: float) -> Caption:
    weights = merge_weights(speech.weights, speech.words)
    grid = (picture.regions.rows, picture.regions.columns)
    words = zip(speech.words, speech.probabilities, weights, strict=True)
    return Caption(
        path=picture.path,
        text=speech.best.text,
        score=speech.best.score(alpha),
        words=tuple(Word(word.text, probability, row.reshape(grid)) for word, probability, row in words),
        alternatives=speech.alternatives(alpha),
        finished=speech.finished,
        photo=picture.photo,
        regions=picture.regions,
    )
