"""The captioner: pictures in, captions out, each word with where it looked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Unpack

import torch

from regard.bundle import Bundle
from regard.data.images import ImageSource
from regard.encoders.image import ImageEncoder
from regard.errors import ImageError
from regard.explain.results import Caption, Word
from regard.kernels.products import InferencePrecision
from regard.pipeline.engine import Engine
from regard.pipeline.options import SearchChanges, changed_options
from regard.pipeline.pictures import Picture, ahead, read_picture
from regard.pipeline.speech import Ids, Speech, prefix_ids, speak
from regard.search import SearchOptions
from regard.text import merge_weights

BATCH = 64
"""Pictures whose captions are searched for together."""


class Captioner:
    """Describes pictures.

    Args:
        bundle: a model of kind ``captioner``.
        device: where it computes.
        precision: in which numbers, see :class:`regard.pipeline.engine.Engine`.

    Raises:
        ConfigError: a precision that the model cannot be had in.
    """

    def __init__(self, bundle: Bundle, *, device: str = "cpu", precision: InferencePrecision = "float32") -> None:
        assert isinstance(bundle.model.encoder, ImageEncoder), "a captioner reads pictures"
        self.bundle = bundle
        self._encoder = bundle.model.encoder
        self._engine = Engine(bundle, device=device, precision=precision)
        self.device = self._engine.device

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
        return self._stream(images, batch, options, prefix_ids(self.bundle.codec, prefix))

    def _stream(
        self, images: Iterable[ImageSource], batch: int, options: SearchOptions, prefix: Ids
    ) -> Iterator[Caption | ImageError]:
        read = ahead(lambda image: read_picture(image, self._encoder), images, count=batch)
        number = 0
        while pictures := list(islice(read, batch)):
            good = [picture for picture in pictures if isinstance(picture, Picture)]
            captions = iter(self._caption(good, options, prefix, number) if good else [])
            for picture in pictures:
                yield next(captions) if isinstance(picture, Picture) else picture
            number += len(good)

    def _caption(self, pictures: Sequence[Picture], options: SearchOptions, prefix: Ids, number: int) -> list[Caption]:
        annotations = self._engine.annotate(torch.stack([picture.pixels for picture in pictures]))
        numbers, prefixes = range(number, number + len(pictures)), [prefix] * len(pictures)
        said = speak(self._engine, annotations, options, prefixes=prefixes, numbers=numbers)
        alpha = options.length_normalisation
        return [_result(picture, speech, alpha) for picture, speech in zip(pictures, said, strict=True)]


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
