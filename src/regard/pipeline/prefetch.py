"""Image prefetch: while the network computes on one batch, threads decode the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL.Image import Resampling

from regard.annotations import Regions
from regard.data.images import ImageSource, Pixels, image_name, load_image
from regard.encoders.image import ImageEncoder
from regard.errors import ImageError
from regard.pipeline.isolation import REPORT, describe

DISPLAY_SIDE = 1200
"""The longest side in pixels of the photo that a result carries for showing."""
READERS = 2
AHEAD = 16
"""How many pictures are read before they are asked for."""
BATCH_BYTES = 48_000_000
"""What the photos of one batch take at most, unless a single one does; the small photos of data sets take less."""

Given = TypeVar("Given")
Got = TypeVar("Got")


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """One picture, ready.

    Attributes:
        path: its name, as the user gave it.
        pixels: uint8 [H, W, 3], what the network looks at.
        regions: where its annotations lie in the original.
        photo: the original for showing, at most :data:`DISPLAY_SIDE` pixels long.
    """

    path: str
    pixels: Pixels
    regions: Regions
    photo: Pixels


def prepare_image(source: ImageSource, encoder: ImageEncoder) -> PreparedImage | ImageError:
    """Read and resize one picture; what is wrong with it is returned, so that it can take its place in a batch."""
    try:
        return _read(source, encoder)
    except ImageError as error:
        return error
    except Exception as error:
        return ImageError(image_name(source), describe(error), remedy=REPORT)


def _read(source: ImageSource, encoder: ImageEncoder) -> PreparedImage:
    # a JPEG is decoded at no less than twice the hint, which serves the network and the eye
    photo = load_image(source, hint=max(encoder.picture_size, DISPLAY_SIDE // 2))
    pixels, frame = encoder.prepare(photo)
    shown = photo.image
    if max(shown.size) > DISPLAY_SIDE:
        shown = shown.copy()
        shown.thumbnail((DISPLAY_SIDE, DISPLAY_SIDE), Resampling.LANCZOS)
    return PreparedImage(photo.path, pixels.numpy(), encoder.regions(frame), np.asarray(shown))


def prefetch(read: Callable[[Given], Got], sources: Iterable[Given], *, count: int) -> Iterator[Got]:
    """``read`` of each source, in order, up to ``count`` of them begun before they are asked for."""
    pool = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="regard-reader")
    waiting: deque[Future[Got]] = deque()
    try:
        for source in sources:
            waiting.append(pool.submit(read, source))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def cut_batches(
    pictures: Iterable[PreparedImage | ImageError], count: int
) -> Iterator[list[PreparedImage | ImageError]]:
    """Pictures that are described together: at most ``count``, of at most :data:`BATCH_BYTES` in all."""
    batch: list[PreparedImage | ImageError] = []
    num_bytes = 0
    for picture in pictures:
        size = picture.photo.nbytes if isinstance(picture, PreparedImage) else 0
        if batch and (len(batch) == count or num_bytes + size > BATCH_BYTES):
            yield batch
            batch, num_bytes = [], 0
        batch.append(picture)
        num_bytes += size
    if batch:
        yield batch
