"""Captions and translations on a Ray cluster: the same calls of the same models, a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from regard.compute import ComputeOptions
from regard.data.lines import iterate_lines
from regard.errors import ImageError, TextError
from regard.parallel.ray_data import Work, map_on_ray
from regard.pipeline.captioner import Captioner
from regard.pipeline.loading import ModelLoader
from regard.pipeline.translator import Translator
from regard.results import Caption, Translation
from regard.saved.bundle import find_bundle

LINES = 4096
"""Lines in a chunk: eight times as many as a translator reads at a time, so that it batches them as in one piece."""
_NO_PHOTO = np.zeros((1, 1, 3), dtype=np.uint8)


@dataclass(frozen=True)
class RayModel:
    """A model that a Ray cluster holds.

    Args:
        name: of the model, or its folder, which every machine must have.
        computing: how each actor computes; ``workers`` is how many there are, 1 for as many as there is room for.
    """

    name: str
    computing: ComputeOptions

    def caption(self, chunks: Sequence[Sequence[str]], options: dict[str, Any]) -> Iterator[Caption | ImageError]:
        """Captions of the photos of all chunks, without the photos.

        Args:
            chunks: paths, which every machine must have.
            options: of :meth:`Captioner.caption_many`.
        """
        return chain.from_iterable(self._map(partial(_caption, options=options), chunks))

    def translate(
        self, file: Path, count: int, options: dict[str, Any], *, done: int = 0
    ) -> Iterator[Translation | TextError]:
        """Translations of the lines of a file, which every machine must have.

        Args:
            file: one text a line.
            count: how many lines it has.
            options: of :meth:`Translator.translate_many`.
            done: how many lines are passed over.
        """
        first = done - done % LINES
        chunks = [range(start, min(start + LINES, count)) for start in range(first, count, LINES)]
        results = self._map(partial(_translate, file=file.absolute(), options=options), chunks)
        return islice(chain.from_iterable(results), done - first, None)

    def _map(self, work: Work, chunks: Sequence[Any]) -> Iterator[Any]:
        threads = self.computing.threads or 1
        load = ModelLoader(str(find_bundle(self.name).absolute()), replace(self.computing, threads=threads, workers=1))
        gpus = 1 if self.computing.device.startswith("cuda") else 0
        actors = self.computing.workers if self.computing.workers > 1 else None
        return map_on_ray(load, work, chunks, actors=actors, cpus=threads, gpus=gpus)


def _caption(captioner: Captioner, paths: Sequence[str], *, options: dict[str, Any]) -> list[Caption | ImageError]:
    results = captioner.caption_many(paths, **options)
    return [each if isinstance(each, ImageError) else replace(each, photo=_NO_PHOTO) for each in results]


def _translate(
    translator: Translator, numbers: range, *, file: Path, options: dict[str, Any]
) -> list[Translation | TextError]:
    lines = islice(iterate_lines(file), numbers.start, numbers.stop)
    return list(translator.translate_many(lines, first=numbers.start, **options))
