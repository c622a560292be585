"""Learning to caption: images and their views, batches, and validation by real search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from regard.annotations import Annotations
from regard.data.batching import bucketed_batches
from regard.data.captioned import CaptionedImage, CaptionedImages
from regard.data.problems import Problem
from regard.data.readers import read_collection
from regard.encoders.image import ImageEncoder
from regard.errors import ImageError
from regard.metrics import score_captions
from regard.model import EncoderDecoder
from regard.progress import Progress
from regard.search import SearchOptions, SpecialTokens, search
from regard.text import WordTokenizer, caption_tokens
from regard.text.word_tokenizer import fitting_minimum_count
from regard.training.distributed import gather, own_share
from regard.training.image_views import CachedViews, ImageViews, PhotosInMemory
from regard.training.recipe import CaptionData, Phase
from regard.training.task import Task

SEARCH_BATCH = {"cpu": 50, "cuda": 250}
"""Images searched together in validation, by the type of the device."""


class CaptionTask(Task):
    """Everything that is particular to captions; the loop knows nothing of pictures.

    Args:
        settings: where the data lie and how they are varied.
        seed: of order and augmentation.
        cache: the folder of feature caches.
        tokenizer: an existing one, when a run goes on; otherwise it is built from the training captions.
        known: the tokenizer of a model that training begins from; then the words of the captions are added to it.
        keep_words: whether words of ``known`` stay that the captions do not hold.

    Raises:
        DataError: the data cannot be used.
    """

    def __init__(
        self,
        settings: CaptionData,
        *,
        seed: int,
        cache: Path,
        tokenizer: WordTokenizer | None = None,
        known: WordTokenizer | None = None,
        keep_words: bool = True,
    ) -> None:
        self.settings, self.seed, self._cache = settings, seed, cache
        self.train: list[CaptionedImage] = []
        self.validation: dict[str, CaptionedImages] = {}
        self._weights: list[float] = []
        self._left_out: dict[Problem, None] = {}
        for each in settings.all_sets:
            data = read_collection(Path(each.folder))
            images = data.read(each.train, strict=settings.strict)
            self.validation[each.name] = data.read(each.validation, strict=settings.strict)
            self.train += images
            self._weights += [each.weight] * len(images)
            self._left_out |= dict.fromkeys((*images.left_out, *self.validation[each.name].left_out))
        texts = [caption for image in self.train for caption in image.captions]
        self.minimum_count = settings.minimum_count or fitting_minimum_count(len(texts))
        if tokenizer is None and known is not None:
            tokenizer = known.extended(texts, minimum_count=self.minimum_count, keep_words=keep_words)
        self.tokenizer = tokenizer or WordTokenizer.train(texts, minimum_count=self.minimum_count)
        self.vocabulary_size = self.tokenizer.size
        self.num_cut = 0
        self.captions = [[self._encode(caption) for caption in image.captions] for image in self.train]
        self.views = self._build_views(self._cache)

    def prepare(self, model: EncoderDecoder, progress: Progress) -> None:
        """Compute or decode what every view of the photos needs once."""
        unreadable = self._prepare_views(model, progress)
        for line in self._remarks():
            progress.log(line)
        if unreadable:
            progress.log(f"left out: {len(unreadable)} images that cannot be decoded, such as {unreadable[0]}")
        if self.num_cut:
            progress.log(f"{self.num_cut} captions of more than {self.settings.max_words} words are cut")

    def _prepare_views(self, model: EncoderDecoder, progress: Progress) -> list[ImageError]:
        """Prepare the views, and leave out images whose files look whole and cannot be decoded all the same."""
        unreadable: list[ImageError] = []
        while True:
            try:
                self.views.prepare(model, progress)
            except ImageError as error:
                if self.settings.strict:
                    raise
                unreadable.append(error)
                self._leave_out(error)
            else:
                return unreadable

    def _leave_out(self, error: ImageError) -> None:
        """Go on without the image that an error is about.

        Raises:
            ImageError: nothing is left.
        """
        path = Path(error.path)
        kept = [number for number, image in enumerate(self.train) if image.path != path]
        self.train = [self.train[number] for number in kept]
        self.captions = [self.captions[number] for number in kept]
        self._weights = [self._weights[number] for number in kept]
        self.validation = {
            name: replace(images, items=tuple(each for each in images if each.path != path))
            for name, images in self.validation.items()
        }
        if not self.train or not all(self.validation.values()):
            raise error
        self.views = self._build_views(self._cache)

    @property
    def validation_inputs(self) -> list[str]:
        return [str(path) for images in self.validation.values() for path in images.paths]

    def baseline(self, metric: str) -> tuple[str, float]:
        """The caption that stands most often in the training data, and its score if it were said of every image.

        Args:
            metric: the score, as :meth:`validate` names it.
        """
        counts = Counter(" ".join(caption_tokens(text)) for image in self.train for text in image.captions)
        commonest = max(counts, key=lambda text: (counts[text], text))
        scores = {
            name: score_captions([commonest] * len(images), images.captions).as_dict()
            for name, images in self.validation.items()
        }
        return commonest, float(_joined(scores)[metric])

    def batches(self, phase: Phase, *, number: int, epoch: int) -> list[list[int]]:
        seed = self.seed + number
        chosen = _repeated(self._weights, seed=seed, epoch=epoch)
        longest = [max(len(caption) for caption in self.captions[image]) + 1 for image in chosen]
        order = bucketed_batches(longest, seed=seed, epoch=epoch, batch_size=phase.batch)
        return [chosen[batch].tolist() for batch in order]

    def annotate(self, model: EncoderDecoder, images: Sequence[int], *, phase: int, epoch: int) -> Annotations:
        """Annotations of training images, each in the view that (seed, phase, epoch, image) draws for it."""
        entropy = [(self.seed, phase, epoch, image) for image in images]
        return model.bridged(self.views.train(_image_encoder(model), images, entropy))

    def validate(self, model: EncoderDecoder, options: SearchOptions, progress: Progress) -> dict[str, Any]:
        """Caption the validation images with real search, on words, and score the words.

        With several data sets, the scores of each are named after it, and those without a name are their means.
        """
        hypotheses = iter(self._captions_of_validation(model, options, progress))
        scores = {
            name: score_captions([next(hypotheses) for _ in images], images.captions).as_dict()
            for name, images in self.validation.items()
        }
        return _joined(scores)

    def _captions_of_validation(self, model: EncoderDecoder, options: SearchOptions, progress: Progress) -> list[str]:
        """A caption for every validation image, set after set."""
        count, size = sum(map(len, self.validation.values())), SEARCH_BATCH.get(model.device.type, 50)
        batches = own_share([range(first, min(first + size, count)) for first in range(0, count, size)])
        texts, specials = [], SpecialTokens.of(self.tokenizer, options)
        progress.start("validation", sum(map(len, batches)))
        for images in batches:
            with torch.inference_mode():
                annotations = model.bridged(self.views.validate(_image_encoder(model), images))
            found = search(model.decoder, annotations, options, tokens=specials)
            texts.append([self.tokenizer.decode(hypotheses[0].tokens) for hypotheses in found])
            progress.advance(len(images))
        return [text for batch in gather(texts) for text in batch]

    def _remarks(self) -> Iterator[str]:
        """What to know of the data before they are learned from."""
        yield f"learns from {self._described(self.train)}"
        for images in self.validation.values():
            yield f"judged by {self._described(images)}"
        if self._left_out:
            first = next(iter(self._left_out))
            yield f"left out: {len(self._left_out)} (data.strict refuses them; regard data check shows all): {first}"

    def _described(self, images: Sequence[CaptionedImage]) -> str:
        captions = [caption for image in images for caption in image.captions]
        unknown = self.tokenizer.unknown_share(captions)
        rare = f"stand less than {self.minimum_count} times (data.minimum_count)"
        reason = f", those that {rare if self.minimum_count > 1 else 'the training captions lack'}" if unknown else ""
        counts = f"{len(images):,} images with {len(captions):,} captions"
        return f"{counts}; {unknown:.1%} of the words are unknown{reason}"

    def _build_views(self, cache: Path) -> ImageViews:
        training = [image.path for image in self.train]
        validation = [path for images in self.validation.values() for path in images.paths]
        mirrored, crops = self.settings.mirrored, self.settings.random_crops
        if crops is not None:
            return PhotosInMemory(training, validation, mirrored=mirrored, crops=crops)
        return CachedViews(training, validation, mirrored=mirrored, crops=self.settings.crops, cache=cache)

    def _encode(self, caption: str) -> list[int]:
        ids = list(self.tokenizer.encode(caption).ids)
        if len(ids) > self.settings.max_words:
            self.num_cut += 1
        return ids[: self.settings.max_words]


def _image_encoder(model: EncoderDecoder) -> ImageEncoder:
    assert isinstance(model.encoder, ImageEncoder), "captions are written from pictures"
    return model.encoder


def _repeated(weights: Sequence[float], *, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The samples of an epoch, int64 [sample]: each as often as its weight says, chance deciding on the fraction."""
    shares = np.array(weights)
    uniform = np.random.PCG64(np.random.SeedSequence([seed, epoch, 2])).random_raw(len(shares)) / 2.0**64
    return np.repeat(np.arange(len(shares)), np.floor(shares + uniform).astype(np.int64))


def _joined(scores: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Scores of several data sets as one mapping."""
    first = next(iter(scores.values()))
    if len(scores) == 1:
        return first
    means = {
        name: sum(each[name] for each in scores.values()) / len(scores) if isinstance(value, float) else value
        for name, value in first.items()
    }
    means["count"] = sum(int(each["count"]) for each in scores.values())
    named = {f"{of}/{name}": each[name] for of, each in scores.items() for name in ("bleu4", "cider")}
    return {**means, **named}
