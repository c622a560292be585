"""What the benchmarks work on: real captions, sentences and photos where the data lie, else made up with their lengths.

The data are looked for under ``$REGARD_DATA``, ``../shared/data`` beside the repository unless it is set, in folders
``flickr8k`` and ``multi30k``. Values of features are random in any case: no work here depends on them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from regard.data.batching import CaptionBatch, assemble_captions, bucketed_batches, pad_sources
from regard.data.parallel import read_parallel
from regard.data.readers import read_captioned_images
from regard.text import SubwordTokenizer, WordTokenizer
from regard.text.vocabulary import EOS

ROOT = Path(__file__).parents[1]
CAPTION_WORDS = (10.8, 3.7, 3, 22)
"""Mean, deviation, least and most words of a caption, of Flickr8k."""
SENTENCE_PIECES = (14.0, 4.6, 4, 40)
"""The same of a sentence in subwords, of Multi30k in English and German."""
CAPTION_VOCABULARY = 2543
SENTENCE_VOCABULARY = 8000
SPECIALS = 4

Ids = list[int]
Each = TypeVar("Each")


@dataclass(frozen=True)
class Captions:
    """Batches of images with their captions, from the short ones of an epoch to the long ones."""

    batches: list[CaptionBatch]
    vocabulary: int
    origin: str

    @property
    def num_tokens(self) -> int:
        """Words to be written, ends included."""
        return sum(batch.num_tokens for batch in self.batches)


@dataclass(frozen=True)
class SentenceBatch(CaptionBatch):
    """Sentence pairs: one row per input, and the sources beside it.

    Attributes:
        sources: int64 [batch, position], then ``<pad>``.
        source_mask: bool [batch, position], True on real positions.
    """

    sources: torch.Tensor
    source_mask: torch.Tensor


@dataclass(frozen=True)
class Sentences:
    """Batches of sentence pairs of like length, from the short ones to the long ones; a source ends with ``<eos>``."""

    batches: list[list[tuple[Ids, Ids]]]
    vocabulary: int
    origin: str

    @property
    def num_tokens(self) -> int:
        """Target tokens to be written, ends included."""
        return sum(len(target) + 1 for batch in self.batches for _, target in batch)

    def assembled(self) -> list[SentenceBatch]:
        """The batches as the package lays them out."""
        return [
            assemble_sentences([source for source, _ in each], [target for _, target in each]) for each in self.batches
        ]


def assemble_sentences(sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> SentenceBatch:
    """Lay out sentence pairs.

    Args:
        sources: for each pair the ids of its source, ``<eos>`` included.
        targets: for each pair the ids of its target, without ``<bos>`` and ``<eos>``.
    """
    batch = assemble_captions([[target] for target in targets])
    ids, mask = pad_sources([sources[i] for i in batch.order.tolist()])
    return SentenceBatch(**vars(batch), sources=ids, source_mask=mask)


def data_folder(name: str) -> Path | None:
    """Where ``flickr8k`` or ``multi30k`` lies, or None."""
    folder = Path(os.environ.get("REGARD_DATA") or ROOT.parent / "shared" / "data") / name
    return folder if folder.is_dir() else None


def caption_batches(*, images: int, captions: int, batches: int) -> Captions:
    """Batches of ``images``, each with ``captions``, as training forms them."""
    folder = data_folder("flickr8k")
    if folder is None:
        pool = made_up(10 * images * batches, captions, CAPTION_VOCABULARY, CAPTION_WORDS)
        vocabulary, origin = CAPTION_VOCABULARY, "random captions with the lengths of Flickr8k's"
    else:
        read = read_captioned_images(folder, "train")
        tokenizer = WordTokenizer.train([text for image in read for text in image.captions], minimum_count=5)
        pool = [[list(tokenizer.encode(text).ids) for text in image.captions[:captions]] for image in read]
        vocabulary, origin = tokenizer.size, "captions of Flickr8k's training images"
    longest = [max(len(caption) for caption in image) + 1 for image in pool]
    formed = [batch.tolist() for batch in bucketed_batches(longest, seed=0, epoch=0, batch_size=images)]
    full = [assemble_captions([pool[i] for i in batch]) for batch in formed if len(batch) == images]
    return Captions(_spread(sorted(full, key=lambda batch: batch.num_tokens), batches), vocabulary, origin)


def sentence_batches(split: str, *, sentences: int, batches: int) -> Sentences:
    """Batches of ``sentences`` pairs of a split of Multi30k, English to German, as training forms them."""
    folder = data_folder("multi30k")
    if folder is None:
        made = made_up(4 * sentences * batches, 2, SENTENCE_VOCABULARY, SENTENCE_PIECES)
        pairs = [([*source, EOS], target) for source, target in made]
        vocabulary, origin = SENTENCE_VOCABULARY, "random sentences with the lengths of Multi30k's"
    else:
        train, read = (read_parallel(folder, each, source="en", target="de") for each in ("train", split))
        tokenizer = SubwordTokenizer.train([*train.sources, *train.targets], size=SENTENCE_VOCABULARY)
        pairs = [([*tokenizer.encode(source).ids, EOS], list(tokenizer.encode(target).ids)) for source, target in read]
        vocabulary, origin = tokenizer.size, f"Multi30k {split}, English to German"
    lengths = [(len(target) + 1, len(source)) for source, target in pairs]
    formed = [[pairs[i] for i in batch] for batch in bucketed_batches(lengths, seed=0, epoch=0, batch_size=sentences)]
    full = sorted((batch for batch in formed if len(batch) == sentences), key=_num_targets)
    return Sentences(_spread(full, batches), vocabulary, origin)


def photos(count: int, *, made_in: Path) -> tuple[list[Path], str]:
    """JPEG files and what they are; photos that are made up lie in ``made_in``."""
    folder = data_folder("flickr8k")
    if folder is not None:
        paths = read_captioned_images(folder, "dev").paths[:count]
        return paths, "photos of Flickr8k's development split, 224 × 224 pixels"
    generator = np.random.default_rng(0)
    paths = []
    for number in range(count):
        coarse = generator.integers(0, 256, (14, 14, 3), dtype=np.uint8)
        paths.append(made_in / f"{number}.jpg")
        Image.fromarray(coarse).resize((224, 224)).save(paths[-1], quality=90)
    return paths, "made-up JPEG files, 224 × 224 pixels"


def made_up(count: int, rows: int, vocabulary: int, lengths: tuple[float, float, int, int]) -> list[list[Ids]]:
    """``count`` × ``rows`` sequences of random words; words follow Zipf's law, lengths a bell cut at both ends."""
    mean, deviation, least, most = lengths
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(count, rows, generator=generator) * deviation + mean
    often = 1 / torch.arange(1, vocabulary - SPECIALS + 1, dtype=torch.float64)

    def words(length: int) -> Ids:
        ids: Ids = (torch.multinomial(often, length, replacement=True, generator=generator) + SPECIALS).tolist()
        return ids

    return [[words(length) for length in row] for row in drawn.round().long().clamp(least, most).tolist()]


def _num_targets(batch: Sequence[tuple[Ids, Ids]]) -> int:
    return sum(len(target) for _, target in batch)


def _spread(ordered: Sequence[Each], count: int) -> list[Each]:
    """``count`` of them, each the middle of an equal part."""
    assert len(ordered) >= count, "enough batches to choose from"
    return [ordered[len(ordered) * (2 * number + 1) // (2 * count)] for number in range(count)]
