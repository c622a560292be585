"""What a saved model writes for a split: real inputs through the real pipeline, with its own search."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from regard.data.parallel import read_parallel
from regard.data.readers import read_captioned_images
from regard.errors import RegardError
from regard.pipeline import Captioner, SearchChanges, Translator
from regard.progress import Progress
from regard.result_views import Result

Reference = TypeVar("Reference")


@dataclass(frozen=True)
class Outputs(Generic[Reference]):
    """The texts that a model wrote for a split, and what people wrote.

    Attributes:
        inputs: paths of photos, or sentences.
        hypotheses: a text for each input.
        references: for each input its reference, or its references where it has several.
        seconds: of reading, searching and writing, without loading the model.
    """

    inputs: list[str]
    hypotheses: list[str]
    references: Sequence[Reference]
    seconds: float


def caption_split(
    captioner: Captioner, data: Path, split: str, *, progress: Progress, changes: SearchChanges
) -> Outputs[Sequence[str]]:
    """Caption the images of a split.

    Raises:
        DataError: the data cannot be used.
        ConfigError: an option of the search cannot be used.
    """
    images = read_captioned_images(data, split)
    captioner.start_workers()
    progress.start("captions", len(images))
    began = time.perf_counter()
    hypotheses = _texts(captioner.caption_many(images.paths, alternatives=0, **changes), progress)
    return Outputs([*map(str, images.paths)], hypotheses, images.captions, time.perf_counter() - began)


def translate_split(
    translator: Translator, data: Path, split: str, *, progress: Progress, changes: SearchChanges
) -> Outputs[str]:
    """Translate the sources of a split.

    Raises:
        DataError: the data cannot be used.
        ConfigError: an option of the search cannot be used.
    """
    source, target = translator.languages
    pairs = read_parallel(data, split, source=source, target=target)
    translator.start_workers()
    progress.start("translations", len(pairs))
    began = time.perf_counter()
    hypotheses = _texts(translator.translate_many(pairs.sources, alternatives=0, **changes), progress)
    return Outputs([*pairs.sources], hypotheses, pairs.targets, time.perf_counter() - began)


def _texts(results: Iterable[Result | RegardError], progress: Progress) -> list[str]:
    """The texts of results; the first error among them is raised."""
    texts = []
    for result in results:
        if isinstance(result, RegardError):
            raise result
        texts.append(str(result))
        progress.advance(1)
    return texts
