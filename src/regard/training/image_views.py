"""The views of photos that a captioner learns from, as its encoder takes them.

Two ways: a few fixed views, of which the frozen part of the encoder is computed once and kept on disk; or crops that
are drawn anew in every epoch from photos in the memory of the device, through the whole encoder every time.
"""

from __future__ import annotations

import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.data.features import FeatureCache, content_key, settings_key
from regard.data.images import Photo, load_image
from regard.data.random_crops import CropSettings, cut_crops, draw_crops
from regard.data.resizing import resize
from regard.encoders.image import ImageEncoder
from regard.fast import learning_layers_for_training
from regard.files import keep_until_exit
from regard.model import EncoderDecoder
from regard.progress import Progress

PLAIN = "plain"
CROP_SIDE = 0.9
"""How much of each side a crop of a fixed view keeps."""
MARGIN = 8 / 7
"""How much longer the sides of a photo in memory are than those that the encoder takes, so that crops stay sharp."""
BLOCK = 256
"""Photos that are decoded together."""


class ImageViews(ABC):
    """What the encoder makes of training and validation photos.

    Args:
        training, validation: the files.
        mirrored: whether the mirror image of a photo is a view of it.
    """

    def __init__(self, training: Sequence[Path], validation: Sequence[Path], *, mirrored: bool) -> None:
        self._training, self._validation, self._mirrored = training, validation, mirrored

    @abstractmethod
    def prepare(self, model: EncoderDecoder, progress: Progress) -> None:
        """Do once what does not change while the model learns."""

    @abstractmethod
    def train(self, encoder: ImageEncoder, photos: Sequence[int], entropy: Sequence[Sequence[int]]) -> Annotations:
        """Annotations of training photos, each in the view that its entropy draws."""

    @abstractmethod
    def validate(self, encoder: ImageEncoder, photos: Sequence[int]) -> Annotations:
        """Annotations of validation photos as they are."""


class CachedViews(ImageViews):
    """Fixed views, behind a cache of what the frozen layers make of them.

    Args:
        training, validation, mirrored: see :class:`ImageViews`.
        crops: how many random crops of each photo are views of it, besides the photo itself.
        cache: the folder of feature caches.
    """

    def __init__(
        self, training: Sequence[Path], validation: Sequence[Path], *, mirrored: bool, crops: int, cache: Path
    ) -> None:
        super().__init__(training, validation, mirrored=mirrored)
        self._crops, self._folder = crops, cache
        self._keys = {path: content_key(path) for path in (*training, *validation)}
        self._cache: FeatureCache | None = None

    @property
    def names(self) -> list[str]:
        """The names of the views of a training photo."""
        names = [PLAIN, *(f"crop{number}" for number in range(1, self._crops + 1))]
        return names + [f"{name}-mirrored" for name in names] if self._mirrored else names

    def prepare(self, model: EncoderDecoder, progress: Progress) -> None:
        """Compute what the frozen layers make of every view, where it is not cached."""
        assert isinstance(model.encoder, ImageEncoder), "captions are written from pictures"
        encoder = model.encoder.fused()
        keep_until_exit(self._folder)
        self._cache = FeatureCache(self._folder, _cache_key(encoder), encoder.trunk_shape)
        wanted = {self._row(path, view): (path, view) for path in self._training for view in self.names}
        wanted |= {self._row(path, PLAIN): (path, PLAIN) for path in self._validation}

        def compute(names: Sequence[str]) -> npt.NDArray[np.float32]:
            pixels = torch.stack([_pixels(encoder, *wanted[name]) for name in names])
            return encoder.trunk(pixels.to(model.device)).cpu().numpy()

        missing = self._cache.missing(wanted)
        if missing:
            progress.log(self._cache.require_room(len(missing)))
        progress.start("features", len(wanted))
        self._cache.complete(list(wanted), compute, advance=progress.advance)

    def train(self, encoder: ImageEncoder, photos: Sequence[int], entropy: Sequence[Sequence[int]]) -> Annotations:
        names, views = [], self.names
        for photo, numbers in zip(photos, entropy, strict=True):
            draw = np.random.SeedSequence(list(numbers)).generate_state(1)[0]
            names.append(self._row(self._training[photo], views[int(draw) % len(views)]))
        return self._tail(encoder, names)

    def validate(self, encoder: ImageEncoder, photos: Sequence[int]) -> Annotations:
        return self._tail(encoder, [self._row(self._validation[photo], PLAIN) for photo in photos])

    def _tail(self, encoder: ImageEncoder, rows: Sequence[str]) -> Annotations:
        assert self._cache is not None, "prepare comes first"
        features = torch.from_numpy(self._cache.rows(rows)).float()
        return encoder.tail(features.to(encoder.device))

    def _row(self, path: Path, view: str) -> str:
        return f"{self._keys[path]}:{view}"


class PhotosInMemory(ImageViews):
    """Crops that are drawn anew every time, from photos in the memory of the device, uint8 [photo, side, side, 3].

    Args:
        training, validation, mirrored: see :class:`ImageViews`.
        crops: how crops are drawn.
    """

    def __init__(
        self, training: Sequence[Path], validation: Sequence[Path], *, mirrored: bool, crops: CropSettings
    ) -> None:
        super().__init__(training, validation, mirrored=mirrored)
        self._crops = crops
        self._photos: Tensor | None = None
        self._plain: Tensor | None = None
        self._layers: Callable[[Tensor], Tensor] | None = None

    def prepare(self, model: EncoderDecoder, progress: Progress) -> None:
        """Decode all photos, with as many threads as there are processors."""
        assert isinstance(model.encoder, ImageEncoder), "captions are written from pictures"
        encoder, size = model.encoder, model.encoder.picture_size
        side = round(size * MARGIN)
        progress.start("photos", len(self._training) + len(self._validation))
        self._layers = learning_layers_for_training(encoder)
        self._photos = _decode(self._training, encoder, side, progress).to(model.device)
        self._plain = _decode(self._validation, encoder, size, progress).to(model.device)

    def train(self, encoder: ImageEncoder, photos: Sequence[int], entropy: Sequence[Sequence[int]]) -> Annotations:
        assert self._photos is not None, "prepare comes first"
        crops = draw_crops(self._crops, entropy, mirrored=self._mirrored)
        chosen = self._photos[torch.tensor(list(photos)).to(self._photos.device)]
        features = encoder.trunk(cut_crops(chosen, crops, encoder.picture_size))
        return encoder.tail(features, layers=self._layers)

    def validate(self, encoder: ImageEncoder, photos: Sequence[int]) -> Annotations:
        assert self._plain is not None, "prepare comes first"
        annotations: Annotations = encoder(self._plain[torch.tensor(list(photos)).to(self._plain.device)])
        return annotations


def _decode(paths: Sequence[Path], encoder: ImageEncoder, side: int, progress: Progress) -> Tensor:
    """uint8 [photo, side, side, 3]."""
    pixels = torch.empty(len(paths), side, side, 3, dtype=torch.uint8)

    def read(number: int) -> None:
        photo = load_image(paths[number], hint=side)
        pixels[number] = torch.from_numpy(resize(photo, side, encoder.settings.mode)[0])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for first in range(0, len(paths), BLOCK):
            block = range(first, min(first + BLOCK, len(paths)))
            list(pool.map(read, block))
            progress.advance(len(block))
    return pixels


def _cache_key(encoder: ImageEncoder) -> str:
    return settings_key({"trunk": encoder.trunk_fingerprint(), "crop": CROP_SIDE})


def _pixels(encoder: ImageEncoder, path: Path, view: str) -> Tensor:
    photo = load_image(path)
    name, _, mirrored = view.partition("-")
    if name != PLAIN:
        photo = _crop(photo, zlib.crc32(f"{path.name}:{name}".encode()))
    pixels, _ = encoder.prepare(photo)
    return pixels.flip(1) if mirrored else pixels


def _crop(photo: Photo, entropy: int) -> Photo:
    """A crop of :data:`CROP_SIDE` of each side, at a place that is a function of ``entropy``."""
    x, y = np.random.Generator(np.random.PCG64(entropy)).random(2)
    width, height = photo.image.width * CROP_SIDE, photo.image.height * CROP_SIDE
    left, top = x * (photo.image.width - width), y * (photo.image.height - height)
    image = photo.image.crop((round(left), round(top), round(left + width), round(top + height)))
    return Photo(photo.path, image, image.width, image.height)
