"""Learning to caption: images, their cached features, batches, and validation by real search."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from regard.annotations import Annotations
from regard.data.batching import bucketed_batches
from regard.data.features import FeatureCache, content_key, settings_key
from regard.data.images import Photo, load_image
from regard.data.readers.flickr8k import read_flickr8k
from regard.encoders.image import ImageEncoder
from regard.metrics import score_captions
from regard.model import EncoderDecoder
from regard.progress import Progress
from regard.search import SearchOptions, SpecialTokens, search
from regard.text import WordCodec
from regard.training.recipe import CaptionData, Phase
from regard.training.task import Task

PLAIN = "plain"
CROP_SIDE = 0.9
"""How much of each side a random crop keeps."""
SEARCH_BATCH = 50
"""Images searched together in validation."""


class CaptionTask(Task):
    """Everything that is particular to captions; the loop knows nothing of pictures.

    Args:
        settings: where the data lie and how they are varied.
        seed: of order and augmentation.
        cache: the folder of feature caches.
        codec: an existing one, when a run goes on; otherwise it is built from the training captions.

    Raises:
        DataError: the data cannot be used.
    """

    def __init__(self, settings: CaptionData, *, seed: int, cache: Path, codec: WordCodec | None = None) -> None:
        folder = Path(settings.folder)
        self.settings, self.seed, self._cache_folder = settings, seed, cache
        self.train = read_flickr8k(folder, settings.train)
        self.validation = read_flickr8k(folder, settings.validation)
        texts = [caption for image in self.train for caption in image.captions]
        self.codec = codec or WordCodec.train(texts, minimum_count=settings.minimum_count)
        self.vocabulary_size = self.codec.size
        self.num_cut = 0
        self.captions = [[self._encode(caption) for caption in image.captions] for image in self.train]
        self._keys = {image.path: content_key(image.path) for split in (self.train, self.validation) for image in split}
        self._cache: FeatureCache | None = None

    @property
    def views(self) -> list[str]:
        """The names of the views of a training image."""
        names = [PLAIN, *(f"crop{number}" for number in range(1, self.settings.crops + 1))]
        return names + [f"{name}-mirrored" for name in names] if self.settings.mirrored else names

    def prepare(self, model: EncoderDecoder, progress: Progress) -> None:
        """Compute what the frozen part of the encoder makes of every view of every image, where it is not cached."""
        assert isinstance(model.encoder, ImageEncoder), "captions are written from pictures"
        if self.num_cut:
            progress.say(f"{self.num_cut} captions of more than {self.settings.max_words} words are cut")
        encoder = model.encoder.fused()
        self._cache = FeatureCache(self._cache_folder, _cache_key(encoder), encoder.trunk_shape)
        wanted = {self._name(image.path, view): (image.path, view) for image in self.train for view in self.views}
        wanted |= {self._name(image.path, PLAIN): (image.path, PLAIN) for image in self.validation}

        def compute(names: Sequence[str]) -> npt.NDArray[np.float32]:
            pixels = torch.stack([_pixels(encoder, *wanted[name]) for name in names])
            return encoder.trunk(pixels.to(model.device)).cpu().numpy()

        progress.start("features", len(wanted))
        self._cache.complete(list(wanted), compute, advance=progress.advance)

    def batches(self, phase: Phase, *, number: int, epoch: int) -> list[list[int]]:
        longest = [max(len(caption) for caption in image) + 1 for image in self.captions]
        order = bucketed_batches(longest, seed=self.seed + number, epoch=epoch, batch_size=phase.batch)
        return [batch.tolist() for batch in order]

    def annotate(self, model: EncoderDecoder, images: Sequence[int], *, phase: int, epoch: int) -> Annotations:
        """Annotations of training images, each in the view that (seed, phase, epoch, image) draws for it."""
        views = self.views
        names = []
        for image in images:
            draw = np.random.SeedSequence([self.seed, phase, epoch, image]).generate_state(1)[0]
            names.append(self._name(self.train[image].path, views[int(draw) % len(views)]))
        return self._annotate(model, names)

    def validate(self, model: EncoderDecoder, options: SearchOptions, progress: Progress) -> dict[str, Any]:
        """Caption the validation images with real search, on words, and score the words."""
        said, specials = [], SpecialTokens.of(self.codec, options)
        progress.start("validation", len(self.validation))
        for first in range(0, len(self.validation), SEARCH_BATCH):
            paths = self.validation[first : first + SEARCH_BATCH].paths
            with torch.inference_mode():
                annotations = self._annotate(model, [self._name(path, PLAIN) for path in paths])
            found = search(model.decoder, annotations, options, tokens=specials)
            said += [self.codec.decode(hypotheses[0].tokens) for hypotheses in found]
            progress.advance(len(paths))
        return score_captions(said, self.validation.captions).as_dict()

    def _annotate(self, model: EncoderDecoder, names: Sequence[str]) -> Annotations:
        assert isinstance(model.encoder, ImageEncoder), "captions are written from pictures"
        assert self._cache is not None, "prepare comes first"
        features = torch.from_numpy(self._cache.rows(names)).float().to(model.device)
        return model.bridged(model.encoder.tail(features))

    def _encode(self, caption: str) -> list[int]:
        ids = list(self.codec.encode(caption).ids)
        if len(ids) > self.settings.max_words:
            self.num_cut += 1
        return ids[: self.settings.max_words]

    def _name(self, path: Path, view: str) -> str:
        return f"{self._keys[path]}:{view}"


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
